"""The gateway process: HTTP in front, collector and query workers behind.

It stores nothing itself: `log` goes the way of every other entry, and only the workers
and `health` read the database.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from pipeline import clock, control, journal, service
from pipeline.collectors.collector import Collector
from pipeline.collectors.relay import Relay
from pipeline.gateway import limits, openrpc, tokens
from pipeline.gateway.admission import Admission
from pipeline.gateway.alerts import OpenAlerts
from pipeline.gateway.auditing import Auditing
from pipeline.gateway.authentication import Authenticator
from pipeline.gateway.connections import Bounds
from pipeline.gateway.dispatch import Dispatcher
from pipeline.gateway.export import Exports
from pipeline.gateway.feed import Feed
from pipeline.gateway.health import (
    HealthResult,
    StoreHealth,
    TailHealth,
    ingester_health,
    is_disk_full,
    judge,
    store_health,
    workers_health,
)
from pipeline.gateway.http import application
from pipeline.gateway.intake import Intake
from pipeline.gateway.journaling import NAME, Journaling
from pipeline.gateway.ledger import LedgerReader
from pipeline.gateway.listening import Listener, Wires
from pipeline.gateway.methods.table import METHODS
from pipeline.gateway.numbered import Numbered
from pipeline.gateway.orders import Orders
from pipeline.gateway.rates import Rates
from pipeline.gateway.reloading import Reloading
from pipeline.gateway.services import Services
from pipeline.gateway.sites import Sites
from pipeline.gateway.tail import Hub
from pipeline.gateway.watching.canary import Canary
from pipeline.gateway.watching.observer import Observer
from pipeline.gateway.watching.processes import system_memory
from pipeline.gateway.watching.pulse import Pulse
from pipeline.gateway.watching.results import MetricsResult
from pipeline.gateway.watching.summary import summarize
from pipeline.gateway.workers import worker_environment, worker_pool
from pipeline.redaction import Redactor, Rules, rules_of
from pipeline.settings import Settings
from pipeline.settings.watching import Configuration
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

    def __init__(self, settings: Settings, configuration: Configuration) -> None:
        self._settings = settings
        self._started = clock.monotonic()
        self._status: dict[str, Any] | None = None
        self._status_at = 0.0
        self._store: asyncio.Task[StoreHealth] | None = None
        self._store_at = 0.0
        rules = rules_of(settings.redaction)
        self._collector = Collector(
            settings.ingest.endpoint,
            SOURCE,
            acknowledge_endpoint=settings.publish.endpoint,
            # its callers are told that it is busy, and when to come again
            **{**asdict(settings.collector), "spool": "off"},
            redaction=rules,
        )
        self._journaling = Journaling(self._collector)
        self._pool = worker_pool(settings)
        self._alerts = OpenAlerts(self._pool, clock.monotonic)
        own = settings.gateway
        self.sites = Sites((settings.server.host, *own.hosts), own.origins)
        self.hub = Hub(self._pool, own.tail_clients, own.tail_queue)
        self._feed: Feed | None = None
        self._intake = Intake(
            self._collector,
            own.durable_timeout_seconds,
            lambda: is_disk_full(self._status, self._status_age()),
        )
        self._relay = Relay(
            (settings.ingest.endpoint, settings.publish.endpoint),
            settings.collector.memory_bytes,
        )
        self._numbered = Numbered(
            self._relay,
            own.durable_timeout_seconds,
            clock.monotonic_ns,
            None if rules is None else Redactor(rules),
        )
        self._ledger = LedgerReader(Path(settings.storage.db_path))
        analyzer = control.analyzer_endpoint_of(settings.storage.db_path)
        self._observer = self._watch(analyzer)
        ingester = control.endpoint_of(
            settings.control.endpoint, settings.storage.db_path
        )
        # of its own: a deletion that runs for minutes must not hold it up
        others = Orders(ingester), Orders(analyzer, "analyzer")
        self.reloading = Reloading(settings, configuration, self._take_over, others)
        counters: Counter[str] = Counter()
        self._auditing = Auditing(ingester, counters)
        self._services = Services(
            self._intake,
            self._numbered,
            self._pool,
            self._ledger,
            self.report,
            self.metrics,
            cache(self._document),
            clock.now_ns,
            self._limits,
            Orders(ingester),
            self.reloading.everywhere,
            self._auditing.note,
        )
        answers = {name: method.answer for name, method in METHODS.items()}
        self._calls, self._failures = Rates(), Rates()
        self._bound()
        self.dispatcher = Dispatcher(
            *(self._services, answers, own.batch_calls, counters),
            self._observer.took,
            self._calls,
        )
        authenticator = authenticator_of(settings, self._auditing)
        self.admission = Admission(authenticator, self._calls, self._failures, counters)
        held = own.connections, own.head_seconds, own.idle_seconds
        self.connections = Wires(Bounds(*held), counters)
        most, note = own.export_clients, self._auditing.note
        self.exports = Exports(self._pool, most, counters, note=note)

    def _watch(self, analyzer: str) -> Observer:
        every = self._settings.metrics.canary_seconds
        times = clock.monotonic, clock.now_ns
        return Observer(
            self._pool,
            Canary(self._intake, self._pool, every, *times),
            Pulse(self._pool, analyzer, clock.monotonic),
            clock.monotonic,
            has_analyzer=self._settings.alerts.enabled,
        )

    async def start(self) -> None:
        """Start the workers, wait for the first, and listen to the ingester."""
        takers = {
            SUMMARY_TOPIC: self._take_summary,
            STATUS_TOPIC: self._take_status,
        }
        self._feed = Feed(self._settings.publish.endpoint, takers)
        self._pool.start()
        if not await self._pool.wait_ready(WORKER_SECONDS):
            service.say("gateway: no query worker answers yet; log and health work")
        self._observer.start()
        self.reloading.start()
        self._journaling.start()
        self._auditing.start()

    async def close(self) -> None:
        """Hand over what is on its way, and end everything; requests are over."""
        if self._feed is not None:
            self._feed.close()
        await self.reloading.close()
        await self._observer.close()
        await self.hub.close()
        await self._alerts.close()
        await asyncio.to_thread(self._relay.close)
        await self._auditing.close()
        await self._journaling.close()
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
                "connections": len(self.connections),
                **self._intake.counters(),
                **self._numbered.counters,
                **self._relay.stats(),
            },
            dict(self._redacted()),
        )

    def _redacted(self) -> Counter[str]:
        """Secrets that were masked in entries of calls, by rule."""
        return Counter(self._collector.stats()["redacted"]) + self._numbered.redacted

    async def metrics(self) -> MetricsResult:
        """The numbers that tell most."""
        observer = self._observer
        state = await observer.state(await self.report())
        age = observer.canary.age(clock.monotonic())
        return summarize(state, observer.durations, system_memory(), age)

    async def exposed(self) -> tuple[bytes, str]:
        """All of them, and the content type that they have."""
        # 1.3 MB for those alone who scrape
        from pipeline.gateway.watching import exposition

        state = await self._observer.state(await self.report())
        body = exposition.expose(state, self._observer.durations)
        return body, exposition.CONTENT_TYPE

    def unready(self) -> list[str]:
        """Why requests can't be served now; empty when they can."""
        ingester = ingester_health(self._status, self._status_age())
        ingester.disk = {}  # questions are answered on a full one, too
        store = StoreHealth("", 0, 0, 0)
        return judge(ingester, store, workers_health(self._pool))[1]

    def _take_over(self, settings: Settings) -> None:
        """Go by what can change while it runs (`settings.live`)."""
        before, self._settings, own = self._settings, settings, settings.gateway
        self._pool.queue_max = own.pending_queries
        self._pool.timeout = settings.query.timeout_seconds
        attached = settings.storage.attach, before.storage.attach
        if settings.query != before.query or attached[0] != attached[1]:
            self._pool.renew(worker_environment(settings))
        self.hub.clients_max, self.hub.queue_max = own.tail_clients, own.tail_queue
        self.exports.most = own.export_clients
        self.sites.change((settings.server.host, *own.hosts), own.origins)
        self.dispatcher.calls_max = own.batch_calls
        self._intake.timeout = self._numbered.timeout = own.durable_timeout_seconds
        self._observer.canary.change(settings.metrics.canary_seconds)
        self._bound()
        if settings.redaction != before.redaction:
            self._redact(rules_of(settings.redaction))

    def _bound(self) -> None:
        """How often callers may call, and addresses may guess."""
        own, guesses = self._settings.gateway, self._settings.authentication
        self._calls.change(own.calls_per_second, own.calls_burst)
        self._failures.change(
            guesses.failures_per_minute / 60, guesses.failures_per_minute
        )

    def _redact(self, rules: Rules | None) -> None:
        """Entries that come from now on; those on their way were masked before."""
        self._collector.redact(rules)
        self._numbered.redactor = None if rules is None else Redactor(rules)

    def _take_summary(self, summary: dict[str, Any]) -> None:
        self._observer.on_summary(summary)
        self.hub.on_summary(summary)

    def _take_status(self, status: dict[str, Any]) -> None:
        self._observer.on_status(status)
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
            archives = [Path(each) for each in self._settings.storage.attach]
            last = self._store = asyncio.create_task(store_health(path, archives))
        return await asyncio.shield(last)

    def _document(self) -> bytes:
        return openrpc.encode(METHODS.values())

    def _limits(self) -> bytes:
        return limits.encode(self._settings)


def run(settings: Settings, configuration: Configuration) -> None:
    """Serve until asked to stop; raises PipelineError when the address is taken."""
    journal.note_threads(NAME)
    stop = service.stop_on_signals(service.END_SIGNALS)
    asyncio.run(serve(settings, configuration, stop))


def authenticator_of(settings: Settings, audit: Auditing) -> Authenticator | None:
    """What asks callers for a token, if they need one; raises PipelineError."""
    if not settings.authentication.enabled:
        return None
    own = settings.authentication.token_file
    path = tokens.path_of(own, settings.storage.db_path)
    return Authenticator(path, clock.now_ns, audit.tokens_changed)


async def serve(
    settings: Settings, configuration: Configuration, stop: service.StopSignal
) -> None:
    """Serve until `stop` is set, then finish what was begun."""
    gateway = Gateway(settings, configuration)
    loop = asyncio.get_running_loop()

    def reload() -> None:
        loop.call_soon_threadsafe(gateway.reloading.ask)

    service.on_hangup(reload, stop.set)
    own = settings.gateway
    app = application(
        gateway,
        own.request_bytes,
        own.body_seconds,
        gateway.sites,
        gateway.admission,
        gateway.connections,
    )
    runner = web.AppRunner(
        app,
        # a client that goes away cancels its questions
        handler_cancellation=True,
        shutdown_timeout=DRAIN_SECONDS,
    )
    await runner.setup()
    listener = Listener(runner, gateway.connections)
    try:
        await gateway.start()
        address = await listener.start(settings.server.host, settings.server.port)
        service.announce_ready("gateway", address)
        await _until(stop)
        service.say("gateway stopping")
    finally:
        # listeners would keep the server from coming to an end
        listener.close()
        await gateway.hub.close()
        await runner.cleanup()
        await gateway.close()


async def _until(stop: service.StopSignal) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def look() -> None:
        stop.drain()
        if stop.is_set:
            stopped.set()

    loop.add_reader(stop.fileno(), look)
    try:
        await stopped.wait()
    finally:
        loop.remove_reader(stop.fileno())
