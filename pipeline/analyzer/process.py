"""The analyzer's process: sockets and threads around `analyzer`, in one poll loop.

It is synchronous and reads no database itself: a query worker of its own answers its
questions. Its death, slowness or restart is nothing to the ingester.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from pipeline import clock, control, journal, memory, service, transport
from pipeline.analyzer.analyzer import Analyzer, policy_of
from pipeline.analyzer.channels.config import read_channels
from pipeline.analyzer.channels.lanes import Lanes
from pipeline.analyzer.control import Control
from pipeline.analyzer.lineup import Lineup
from pipeline.analyzer.questions import Questions, worker_of
from pipeline.analyzer.storing import Storing
from pipeline.entry import Entry
from pipeline.errors import PipelineError
from pipeline.settings import Settings
from pipeline.settings.alerts import Alerts
from pipeline.settings.live import taken_over
from pipeline.settings.watching import Configuration, Reading
from pipeline.timestamp import SECOND
from pipeline.wire.frame import BATCH_TOPIC, SUMMARY_TOPIC

WAIT_SECONDS: Final = 0.5
"""The longest sleep: alerts close, and questions are due, when nothing comes."""

EVALUATE_SECONDS: Final = 0.1
"""Between two looks at everything while commits pour in."""

SUMMARIES_AT_ONCE: Final = 100
BATCHES_AT_ONCE: Final = 4
BATCH_FRAMES: Final = 24
"""Batches of at most 1 MiB that wait, in memory of this process."""

LEFT_SECONDS: Final = 5.0
"""For entries of an analyzer that died to be stored, before the store is asked."""

STALL_SECONDS: Final = 2.0
"""A loop that was away for longer has missed what a socket doesn't hold."""

NAME: Final = "analyzer"
STAYS: Final = "the old configuration stays"
NICE: Final = 5
"""Entries are stored first and judged second, when there is one core for both."""


class _Process:
    """Everything of one run."""

    def __init__(self, settings: Settings, configuration: Configuration) -> None:
        self._reading = Reading(configuration)
        self._settings = settings
        self._is_started = self._is_settled = False
        self.stop = service.stop_on_signals(service.END_SIGNALS)
        service.on_hangup(self._reading.ask, self.stop.set)
        self._storing = Storing(settings)
        self._questions = Questions(worker_of(settings.storage.db_path))
        self._lanes = self._open_lanes(settings)
        self.analyzer = Analyzer(
            settings.alerts,
            self._questions,
            self._storing.write,
            self._lanes,
            lambda text: journal.warn(NAME, text),
        )
        endpoint = settings.publish.endpoint
        self._summaries = transport.subscribe(endpoint, [SUMMARY_TOPIC])
        # a socket of its own: a batch that is dropped never drops a summary
        self._batches = transport.subscribe(endpoint, [BATCH_TOPIC], BATCH_FRAMES)
        self._control = self._open_control(settings)
        self._poller = transport.Poller()
        for socket in (self._summaries, self._batches):
            self._poller.watch(socket)
        for waker in (self.stop, self._questions):
            self._poller.watch(waker.fileno())
        if self._control is not None:
            self._poller.watch(self._control.socket)

    def run(self) -> None:
        """Serve until asked to stop."""
        next_look = 0.0
        start_by = clock.monotonic() + LEFT_SECONDS
        seen = clock.monotonic()
        while not self.stop.is_set:
            self._poller.wait(self._patience(next_look))
            self.stop.drain()
            before, seen = seen, clock.monotonic()
            if seen - before > STALL_SECONDS:
                self.analyzer.wake(_now())
            _receive(self._summaries, SUMMARIES_AT_ONCE, self.analyzer.take_summary)
            _receive(self._batches, BATCHES_AT_ONCE, self.analyzer.take_batch)
            self._questions.deliver()
            if self._control is not None:
                self._control.serve()
            self._maybe_reload()
            self._start(start_by)
            journal.own.store(self._storing.note)
            if clock.monotonic() >= next_look:
                self.analyzer.evaluate(_now())
                next_look = clock.monotonic() + EVALUATE_SECONDS

    def _start(self, latest: float) -> None:
        """Begin when the store has what a dead analyzer left, or at the latest then."""
        if not self._is_started:
            if self._storing.has_left and clock.monotonic() < latest:
                return
            self._is_started = True
            self.analyzer.start(_now())
        if self.analyzer.is_ready and not self._is_settled:
            self._is_settled = True
            memory.release()  # what the past took: 100,000 rows of a week

    def close(self) -> None:
        """Tell what waits, and end all threads."""
        self.analyzer.close()
        for socket in (self._summaries, self._batches):
            socket.close(0)
        if self._control is not None:
            self._control.close()
        self._lanes.close()
        self._questions.close()
        journal.own.store(self._storing.note)
        self._storing.close()
        self.stop.close()

    def _patience(self, next_look: float) -> float:
        due = self.analyzer.next_due()
        wait = WAIT_SECONDS if due is None else max(0.0, due - _now())
        return min(WAIT_SECONDS, max(wait, next_look - clock.monotonic()))

    def _open_lanes(self, settings: Settings) -> Lanes:
        """Raises ConfigError."""
        given = settings.alerts
        channels = read_channels(given.channels, os.environ) if given.enabled else []
        host, port = settings.server.host, settings.server.port
        return Lanes(channels, f"http://{host}:{port}/", self._report)

    def _report(self, entry: Entry) -> None:
        """On any thread: the entry of what could not be delivered."""
        self._storing.write(entry)

    def _open_control(self, settings: Settings) -> Control | None:
        endpoint = control.analyzer_endpoint_of(settings.storage.db_path)
        try:
            return Control(endpoint, self.status, self.reload)
        except PipelineError as error:
            journal.warn(NAME, f"no control socket: {error}")
            return None

    def _maybe_reload(self) -> None:
        read = self._reading.step(clock.monotonic())
        if isinstance(read, PipelineError):
            journal.warn(NAME, f"{STAYS}: {read}")
        elif read is not None:
            with suppress(PipelineError):  # it has been said
                self._take_over(read)

    def reload(self) -> dict[str, Any]:
        """Read the configuration anew; raises PipelineError, and nothing changed."""
        try:
            wanted = self._reading.now()
        except PipelineError as error:
            journal.warn(NAME, f"{STAYS}: {error}")
            raise
        return {"changed": self._take_over(wanted)}

    def _take_over(self, settings: Settings) -> list[str]:
        try:
            Lineup(settings.alerts)
            policy_of(settings.alerts)
            lanes = self._open_lanes(settings)
        except PipelineError as error:
            journal.warn(NAME, f"{STAYS}: {error}")
            raise
        before, self._lanes = self._lanes, lanes
        self.analyzer.reload(settings.alerts, lanes)
        # in a thread, as it waits for what is on its way; 3 s unseen would be a hole
        _close_later(before)
        self._settings, changed, _ = taken_over(self._settings, settings, "analyzer")
        service.say(f"analyzer: reloaded: {', '.join(changed) or 'nothing changed'}")
        return changed

    def status(self) -> dict[str, Any]:
        """Counters of all parts."""
        return {
            "pid": os.getpid(),
            **self.analyzer.stats(),
            "questions": dict(self._questions.counters),
            "channels": self._lanes.stats(),
            "collector": self._storing.stats(),
            "journal": journal.own.told(),
        }


def run(settings: Settings, configuration: Configuration) -> None:
    """Serve until asked to stop; `configuration` is read anew when asked to."""
    journal.note_threads(NAME)
    process = _Process(settings, configuration)
    service.announce_ready(NAME, _describe(settings.alerts))
    with suppress(OSError):
        os.nice(NICE)
    try:
        process.run()
    finally:
        process.close()


def check(settings: Settings) -> None:
    """Whether the analyzer could go by these; raises ConfigError."""
    Lineup(settings.alerts)
    policy_of(settings.alerts)
    if settings.alerts.enabled:
        read_channels(settings.alerts.channels, os.environ)


def _now() -> float:
    return clock.now_ns() / SECOND


def _receive(
    socket: transport.Socket, most: int, take: Callable[[bytes, float], None]
) -> None:
    for _ in range(most):
        frames = transport.receive(socket)
        if frames is None:
            return
        take(frames[-1], _now())


def _close_later(lanes: Lanes) -> None:
    import threading

    threading.Thread(target=lanes.close, name="closing channels").start()


def _describe(settings: Alerts) -> str:
    if not settings.enabled:
        return f"pid {os.getpid()}, alerts are off"
    rule = f"{settings.error_spike_threshold} errors in {settings.error_spike_window} s"
    more = f", {len(settings.rules)} rules" if settings.rules else ""
    return f"pid {os.getpid()}, alert at {rule}{more}"
