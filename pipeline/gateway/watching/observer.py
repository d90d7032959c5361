"""All that is known of the pipeline at a moment: for `/metrics` and `get_metrics`."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pipeline import journal
from pipeline.gateway.errors import RpcError
from pipeline.gateway.health import HealthResult
from pipeline.gateway.pool import Pool
from pipeline.gateway.watching.canary import Canary
from pipeline.gateway.watching.histogram import Histogram
from pipeline.gateway.watching.processes import maybe_process
from pipeline.gateway.watching.pulse import ALIVE_SECONDS, Pulse
from pipeline.gateway.watching.rates import Rates
from pipeline.query.committed import StorageReply, StorageRequest

STORAGE_SECONDS: Final = 30.0
"""How long the sources' shares are remembered: scrapes come every 15 s."""

_DEAD_LETTER: Final = "dead_letter."
_TIMES: Final = "times_"


class Observer:
    """Puts together what the parts of the gateway, and other processes, tell."""

    def __init__(
        self,
        pool: Pool,
        canary: Canary,
        pulse: Pulse,
        clock: Callable[[], float],
        *,
        has_analyzer: bool,
    ) -> None:
        """`clock` is monotonic; without an analyzer none is missed."""
        self._pool, self.canary, self._pulse = pool, canary, pulse
        self._clock, self._has_analyzer = clock, has_analyzer
        self.rates = Rates(clock())
        self.durations: defaultdict[str, Histogram] = defaultdict(Histogram)
        self._status: Mapping[str, Any] = {}
        self._heard: float | None = None
        self._sources: dict[str, dict[str, int]] = {}
        self._sources_at = float("-inf")

    def start(self) -> None:
        """Begin to measure."""
        self.canary.start()
        self._pulse.start()

    async def close(self) -> None:
        """End it."""
        await asyncio.gather(self.canary.close(), self._pulse.close())

    def on_summary(self, summary: Mapping[str, Any]) -> None:
        """A commit."""
        self.rates.take(summary, self._clock())

    def on_status(self, status: Mapping[str, Any]) -> None:
        """The ingester says how it is."""
        self._status, self._heard = status, self._clock()

    def took(self, method: str, seconds: float) -> None:
        """How long a call took."""
        self.durations[method].observe(seconds)

    async def state(self, health: HealthResult) -> dict[str, Any]:
        """The maps that METRICS.md has paths into."""
        known = msgspec.to_builtins(health)
        known["collector"].pop("redacted", None)  # with the others' below
        return {
            "ingester": {**_ingester(self._status), "up": health.ingester.is_up},
            "gateway": {
                **{
                    name: known[name]
                    for name in ("uptime_seconds", "requests", "collector", "workers")
                },
                **{name: known[name] for name in ("tail", "redacted")},
                "alerts": {"open": known["alerts"]["open"]},
                "journal": journal.own.told(),
            },
            "analyzer": self._pulse.analyzer,
            "store": {
                **{
                    name: known["store"][name]
                    for name in ("entries", "blocks", "bytes", "ledger")
                },
                "sources": await self._storage(),
            },
            "rates": self.rates.told(self._clock()),
            "canary": self.canary.told(),
            "processes": self.processes(),
        }

    def processes(self) -> dict[str, dict[str, Any]]:
        """Each process that there should be: whether it is up, and what it takes."""
        now = self._clock()
        compaction = self._status.get("compaction") or {}
        heard = None if self._heard is None else now - self._heard
        found = {
            "gateway": _process(os.getpid(), 0.0),
            "ingester": _process(self._status.get("pid"), heard),
        }
        if compaction.get("worker_pid"):
            # its ingester ends it when it says nothing; here the kernel tells
            found["compaction"] = _process(compaction["worker_pid"], heard)
        if self._has_analyzer:
            at = self._pulse.analyzer_at
            age = None if at is None else now - at
            found["analyzer"] = _process(self._pulse.analyzer.get("pid"), age)
        for number, (pid, age) in enumerate(self._pool.heartbeats(), 1):
            found[f"query-worker-{number}"] = _process(pid, age if pid else None)
        return found

    async def _storage(self) -> dict[str, dict[str, int]]:
        now = self._clock()
        if now - self._sources_at > STORAGE_SECONDS:
            self._sources_at = now
            try:
                body = await self._pool.ask("storage", StorageRequest())
            except RpcError:
                return self._sources  # what was known last
            reply = msgspec.json.decode(body, type=StorageReply)
            self._sources = reply.sources
        return self._sources


def _process(pid: int | None, heartbeat: float | None) -> dict[str, Any]:
    process = maybe_process(pid)
    is_beating = heartbeat is not None and heartbeat < ALIVE_SECONDS
    told: dict[str, Any] = {
        "up": is_beating and not (process is not None and process.is_stuck)
    }
    if heartbeat is not None:
        told["heartbeat_seconds"] = heartbeat
    if process is not None:
        told["rss_bytes"] = process.rss_bytes
        told["cpu_seconds"] = process.cpu_seconds
    return told


def _ingester(status: Mapping[str, Any]) -> dict[str, Any]:
    """Its status, with maps where counters have a reason in their name."""
    told = {name: value for name, value in status.items() if name != "boot"}
    for section, prefix, name in (
        ("counters", _DEAD_LETTER, "dead_letters"),
        ("disk", _TIMES, "disk_times"),
    ):
        whole = status.get(section) or {}
        told[name] = {
            key.removeprefix(prefix): value
            for key, value in whole.items()
            if key.startswith(prefix)
        }
        told[section] = {
            key: value for key, value in whole.items() if not key.startswith(prefix)
        }
    return told
