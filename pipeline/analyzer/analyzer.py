"""The analyzer's process: summaries in, alerts out.

It follows the ingester's `summary` topic, which is small, and keeps the window of each
source in memory; it reads no database and imports neither numpy nor aiohttp.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Final

from pipeline import clock, service, transport
from pipeline.analyzer.channels.config import read_channels
from pipeline.analyzer.follower import Follower, read_summary
from pipeline.analyzer.spikes import Finding, SpikeDetector
from pipeline.errors import FrameError
from pipeline.settings import Settings
from pipeline.timestamp import SECOND
from pipeline.wire.frame import SUMMARY_TOPIC

EVALUATE_SECONDS: Final = 1.0
"""How often alerts are looked at when nothing comes: that is how they close."""

SUMMARIES_AT_ONCE: Final = 100
"""Summaries taken before signals and alerts are looked at again."""


Channel = Callable[[Finding], None]


def _console(finding: Finding) -> None:
    service.say(f"alert: {finding}")


class Analyzer:
    """What the process knows; `take` and `evaluate` are all that happens to it."""

    def __init__(self, detector: SpikeDetector, channels: Iterable[Channel]) -> None:
        self.malformed = 0
        self.follower = Follower()
        self._detector = detector
        self._channels = list(channels)

    def take(self, body: bytes, now: int) -> str | None:
        """One summary that arrived at `now` (s); a line if something is not right."""
        try:
            summary = read_summary(body)
        except FrameError as error:
            self.malformed += 1
            return str(error)
        self._detector.observe(summary.counts, now)
        return self.follower.follow(summary)

    def evaluate(self, now: int) -> list[Finding]:
        """Send out what opened and closed, and give it back."""
        findings = self._detector.evaluate(now)
        for finding in findings:
            for channel in self._channels:
                channel(finding)
        return findings


def run(settings: Settings) -> None:
    """Serve until asked to stop."""
    alerts = settings.alerts
    given = read_channels(alerts.channels, os.environ) if alerts.enabled else []
    channels = [_console for channel in given if channel.type == "console"]
    detector = SpikeDetector(alerts.error_spike_threshold, alerts.error_spike_window)
    analyzer = Analyzer(detector, channels)
    stop = service.stop_on_signals()
    socket = transport.subscribe(settings.publish.endpoint, [SUMMARY_TOPIC])
    poller = transport.Poller()
    poller.watch(socket)
    poller.watch(stop.fileno())
    service.announce_ready("analyzer", _describe(settings))
    while not stop.is_set:
        poller.wait(EVALUATE_SECONDS)
        _receive(socket, analyzer)
        analyzer.evaluate(clock.now_ns() // SECOND)
    socket.close(0)
    stop.close()


def _receive(socket: transport.Socket, analyzer: Analyzer) -> None:
    for _ in range(SUMMARIES_AT_ONCE):
        frames = transport.receive(socket)
        if frames is None:
            return
        note = analyzer.take(frames[-1], clock.now_ns() // SECOND)
        if note is not None:
            service.say(f"analyzer: {note} ({analyzer.follower.missed} missed in all)")


def _describe(settings: Settings) -> str:
    alerts = settings.alerts
    if not alerts.enabled:
        return f"pid {os.getpid()}, alerts are off"
    rule = f"{alerts.error_spike_threshold} errors in {alerts.error_spike_window} s"
    return f"pid {os.getpid()}, alert at {rule}"
