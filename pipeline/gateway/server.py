"""The gateway process: HTTP in front, collector and query workers behind.

It stores nothing itself: `log` goes the way of every other entry, and only the workers
and `health` read the database.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from pipeline import clock, control, service
from pipeline.collectors.collector import Collector
from pipeline.collectors.relay import Relay
from pipeline.errors import PipelineError
from pipeline.gateway import limits, openrpc
from pipeline.gateway.alerts import OpenAlerts
from pipeline.gateway.dispatch import Dispatcher
from pipeline.gateway.export import Exports
from pipeline.gateway.feed import Feed
from pipeline.gateway.health import (
    HealthResult,
    StoreHealth,
    TailHealth,
    ingester_health,
    judge,
    store_health,
    workers_health,
)
from pipeline.gateway.http import application
from pipeline.gateway.intake import Intake
from pipeline.gateway.ledger import LedgerReader
from pipeline.gateway.methods.table import METHODS
from pipeline.gateway.numbered import Numbered
from pipeline.gateway.orders import Orders
from pipeline.gateway.pool import Pool
from pipeline.gateway.services import Services
from pipeline.gateway.tail import Hub
from pipeline.settings import Settings
from pipeline.wire.frame import STATUS_TOPIC, SUMMARY_TOPIC

SOURCE: Final = "gateway"
"""The collector's default source; every entry of a call names its own."""

DRAIN_SECONDS: Final = 3.0
"""Requests in flight get this long when the gateway is stopped. A listener that reads
nothing takes it twice (aiohttp waits again once it has cancelled), and `up` kills after
10 s: entries must have been handed over by then."""

WORKER_SECONDS: Final = 10.0
"""The first question needn't wait for its worker to start; calls to `log` needn't wait
for ever."""

STORE_SECONDS: Final = 1.0
"""How long the size of the store is remembered: monitors ask often."""


class Gateway:
    """All parts of one gateway, made in an event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started = clock.monotonic()
        self._status: dict[str, Any] | None = None
        self._status_at = 0.0
        self._store: asyncio.Task[StoreHealth] | None = None
        self._store_at = 0.0
        self._collector = Collector(
            settings.ingest.endpoint,
            SOURCE,
            acknowledge_endpoint=settings.publish.endpoint,
            # its callers are told that it is busy, and when to come again
            **{**asdict(settings.collector), "spool": "off"},
        )
        self._pool = worker_pool(settings)
        self._alerts = OpenAlerts(self._pool, clock.monotonic)
        own = settings.gateway
        self.hub = Hub(self._pool, own.tail_clients, own.tail_queue)
        self._feed: Feed | None = None
        self._intake = Intake(self._collector, own.durable_timeout_seconds)
        self._relay = Relay(
            (settings.ingest.endpoint, settings.publish.endpoint),
            settings.collector.memory_bytes,
        )
        self._numbered = Numbered(
            self._relay, own.durable_timeout_seconds, clock.monotonic_ns
        )
        self._ledger = LedgerReader(Path(settings.storage.db_path))
        self._services = Services(
            self._intake,
            self._numbered,
            self._pool,
            self._ledger,
            self.report,
            cache(self._document),
            clock.now_ns,
            cache(self._limits),
            Orders(
                control.endpoint_of(settings.control.endpoint, settings.storage.db_path)
            ),
            Orders(control.analyzer_endpoint_of(settings.storage.db_path), "analyzer"),
        )
        answers = {name: method.answer for name, method in METHODS.items()}
        self.dispatcher = Dispatcher(
            self._services, answers, own.batch_calls, Counter()
        )
        self.exports = Exports(self._pool, own.export_clients, self.dispatcher.counters)

    async def start(self) -> None:
        """Start the workers, wait for the first, and listen to the ingester."""
        takers = {
            SUMMARY_TOPIC: self.hub.on_summary,
            STATUS_TOPIC: self._take_status,
        }
        self._feed = Feed(self._settings.publish.endpoint, takers)
        self._pool.start()
        if not await self._pool.wait_ready(WORKER_SECONDS):
            service.say("gateway: no query worker answers yet; log and health work")

    async def close(self) -> None:
        """Hand over what is on its way, and end everything; requests are over."""
        if self._feed is not None:
            self._feed.close()
        await self.hub.close()
        await self._alerts.close()
        await asyncio.to_thread(self._relay.close)
        await asyncio.to_thread(self._collector.close)
        await self._pool.close()
        await self._ledger.close()
        if self._store is not None:
            await asyncio.wait([self._store])

    async def report(self) -> HealthResult:
        """The state of every part."""
        ingester = ingester_health(self._status, self._status_age())
        workers = workers_health(self._pool)
        store = await self._store_health()
        status, reasons = judge(ingester, store, workers)
        return HealthResult(
            status,
            reasons,
            openrpc.PIPELINE_VERSION,
            round(clock.monotonic() - self._started, 3),
            ingester,
            store,
            workers,
            TailHealth(self.hub.clients, self.hub.filters, self.hub.missed),
            await self._alerts.now(),
            self._collector.stats(),
            {
                **self.dispatcher.counters,
                **self._intake.counters(),
                **self._numbered.counters,
                **self._relay.stats(),
            },
        )

    def unready(self) -> list[str]:
        """Why requests can't be served now; empty when they can."""
        ingester = ingester_health(self._status, self._status_age())
        store = StoreHealth("", 0, 0, 0)
        return judge(ingester, store, workers_health(self._pool))[1]

    def _take_status(self, status: dict[str, Any]) -> None:
        self._status = status
        self._status_at = clock.monotonic()

    def _status_age(self) -> float | None:
        return None if self._status is None else clock.monotonic() - self._status_at

    async def _store_health(self) -> StoreHealth:
        """The last look at the store, or a new one that all who ask share.

        A caller that goes away must not cancel it: aiosqlite's thread would be left
        behind without anybody to close it, and keep the process from ending.
        """
        now = clock.monotonic()
        last = self._store
        if last is None or (last.done() and now - self._store_at > STORE_SECONDS):
            self._store_at = now
            path = Path(self._settings.storage.db_path)
            last = self._store = asyncio.create_task(store_health(path))
        return await asyncio.shield(last)

    def _document(self) -> bytes:
        return openrpc.encode(METHODS.values())

    def _limits(self) -> bytes:
        return limits.encode(self._settings)


def worker_pool(settings: Settings) -> Pool:
    """The query workers, with this process's settings in their environment."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in (service.READY_FD, service.SUPERVISOR_PID)
    }
    environ["PIPELINE_STORAGE__DB_PATH"] = str(
        Path(settings.storage.db_path).absolute()
    )
    for name, value in asdict(settings.query).items():
        environ[f"PIPELINE_QUERY__{name.upper()}"] = str(value)
    return Pool(
        [sys.executable, "-m", "pipeline", "query-worker"],
        environ,
        settings.query.workers,
        settings.gateway.pending_queries,
        settings.query.timeout_seconds,
        clock.now_ns,
    )


def run(settings: Settings) -> None:
    """Serve until asked to stop; raises PipelineError when the address is taken."""
    stop = service.stop_on_signals()
    asyncio.run(serve(settings, stop))


async def serve(settings: Settings, stop: service.StopSignal) -> None:
    """Serve until `stop` is set, then finish what was begun."""
    gateway = Gateway(settings)
    app = application(gateway, settings.gateway.request_bytes)
    runner = web.AppRunner(
        app,
        access_log=None,
        # aiohttp would inflate 64 KiB to 64 MiB before it looks at the limit
        auto_decompress=False,
        # a client that goes away cancels its questions
        handler_cancellation=True,
        shutdown_timeout=DRAIN_SECONDS,
    )
    await runner.setup()
    try:
        await gateway.start()
        address = await _listen(runner, settings)
        service.announce_ready("gateway", address)
        await _until(stop)
        service.say("gateway stopping")
    finally:
        # listeners would keep the server from coming to an end
        await gateway.hub.close()
        await runner.cleanup()
        await gateway.close()


async def _listen(runner: web.AppRunner, settings: Settings) -> str:
    """Bind; the address, with the port that the system chose if it was 0."""
    host, port = settings.server.host, settings.server.port
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        text = f"server: can't listen on {host}:{port}: {error.strerror}"
        raise PipelineError(
            f"{text}; free the port or change server.host and server.port"
        ) from None
    bound = runner.addresses[0]
    name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return f"http://{name}:{bound[1]}"


async def _until(stop: service.StopSignal) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_reader(stop.fileno(), stopped.set)
    try:
        await stopped.wait()
    finally:
        loop.remove_reader(stop.fileno())
