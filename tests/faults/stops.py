"""Processes that are frozen for a while, and processes that are asked to end.

A frozen process answers nobody and keeps its connections, which is harder to notice
than a death: what was sent to it lies in its sockets and arrives late, often after it
was sent again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from tests.faults.processes import (
    Beside,
    Ingester,
    Pipeline,
    Process,
    finish,
    wait_for,
)
from tests.faults.report import Figures
from tests.faults.site import FLAT_OUT, Site, Size

CALM = ("--rate", "10000")
"""For what must be watched: so little that it fits in memory while nobody takes it."""

FROZEN_SECONDS = 20.0
"""Beyond the heartbeat's time-out, so that connections are given up meanwhile."""

FROZEN_SHORTLY = 0.3
RESENT_SECONDS = 1.5
"""An ingester's, at least: producers send again after 1 s without progress."""

WATCH_SECONDS = 60.0
QUERY = '{"jsonrpc": "2.0", "method": "query", "params": {"limit": 1}, "id": 1}'
JSON = {"Content-Type": "application/json"}


def freezes(folder: Path, *, long: bool) -> Figures:
    """SIGSTOP of each process, then SIGCONT; meanwhile the others work."""
    seconds = FROZEN_SECONDS if long else FROZEN_SHORTLY
    ingester = Ingester(folder)
    gateway, analyzer = Beside("gateway", ingester), Beside("analyzer", ingester)
    site = Site(ingester, *CALM, others=(gateway, analyzer))
    first, second = site.producers
    with site.running():
        works: dict[Process, Callable[[], int]] = {
            ingester: lambda: site.progress,
            gateway: Answers(gateway),
            first: lambda: first.oracle.accepted,
            second: lambda: second.oracle.accepted,
        }
        site.wait_for_entries(1)  # there is something to be found
        for victim in (ingester, gateway, analyzer, first):
            least = RESENT_SECONDS if victim is ingester else 0.0
            _freeze(victim, works, max(seconds, least))
        finish(site.producers)
        for process in (gateway, analyzer, ingester):
            code = process.stop()
            assert code == 0, (process.words, code)
    resent = sum(p.report["resent_batches"] for p in site.producers)
    note = f"{resent:,} batches sent again"
    return site.verdict().figures("SIGSTOP of each process", 4, note=note)


class Answers:
    """How often a gateway has answered a query; each look asks it once more."""

    def __init__(self, gateway: Beside) -> None:
        self._gateway = gateway
        self._count = 0

    def __call__(self) -> int:
        """One more, unless the gateway hangs."""
        address = ("127.0.0.1", self._gateway.port)
        with closing(HTTPConnection(*address, timeout=WATCH_SECONDS)) as connection:
            connection.request("POST", "/rpc", QUERY, JSON)
            reply = json.loads(connection.getresponse().read())
        assert reply["result"]["count"] > 0, reply
        self._count += 1
        return self._count


def _freeze(
    victim: Process, works: dict[Process, Callable[[], int]], seconds: float
) -> None:
    """Freeze one for a while; the others go on, and afterwards it does as well."""
    victim.freeze()
    end = time.monotonic() + seconds
    for process, work in works.items():
        if process is not victim:
            _goes_on(process, work)
    time.sleep(max(0.0, end - time.monotonic()))
    victim.thaw()
    if victim in works:
        _goes_on(victim, works[victim])


def _goes_on(process: Process, work: Callable[[], int]) -> None:
    """Wait until its figure grows."""
    before = work()
    wait_for(f"{process.said.name} goes on", lambda: work() > before, WATCH_SECONDS)


def ingester_terminations(folder: Path, *, long: bool) -> Figures:
    """SIGTERM under load, and a start at once."""
    size = Size(20, 3_000_000) if long else Size(3, 300_000)
    return _terminations("SIGTERM of the ingester", Ingester(folder), size)


def pipeline_terminations(folder: Path, *, long: bool) -> Figures:
    """SIGTERM of `pipeline up` under load: all its processes end, and come back."""
    size = Size(10, 2_000_000) if long else Size(1, 100_000)
    return _terminations("SIGTERM of the whole pipeline", Pipeline(folder), size)


def _terminations(name: str, ingester: Ingester, size: Size) -> Figures:
    site = Site(ingester, *FLAT_OUT)

    def terminate(_: int) -> None:
        code = ingester.stop()
        assert code == 0, ingester.text[-2000:]
        ingester.start()

    with site.running():
        site.spread(size, terminate)
        finish(site.producers)
        assert ingester.stop() == 0
    return site.verdict().figures(name, size.blows)


FAULTS = {
    "freezes": freezes,
    "ingester-terminations": ingester_terminations,
    "pipeline-terminations": pipeline_terminations,
}
