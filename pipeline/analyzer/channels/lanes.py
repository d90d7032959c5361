"""All channels of the settings, each in its lane."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Final

from pipeline import clock
from pipeline.alerts import Alert, Kind
from pipeline.analyzer.book import Notice
from pipeline.analyzer.channels.channel import Channel
from pipeline.analyzer.channels.console import Console
from pipeline.analyzer.channels.file import JsonLines
from pipeline.analyzer.channels.lane import Lane, Report
from pipeline.settings.alerts import Channel as Given

DRAIN_SECONDS: Final = 3.0
"""All lanes together have so long to tell what waits when the analyzer stops."""


class Lanes:
    """Sends each notice to every channel."""

    def __init__(self, channels: Iterable[Given], gateway: str, report: Report) -> None:
        """Of complete channels (`read_channels`); raises ConfigError.

        `gateway` is the root of its URLs, `report` takes entries of what could not be
        delivered, from any thread.
        """
        made = [(one, make_channel(one, gateway)) for one in channels]
        self._lanes = [
            Lane(given.name, channel, given.give_up_seconds, report)
            for given, channel in made
        ]

    def send(self, notice: Notice) -> None:
        """To all, unless it is held back; never waits."""
        if notice.send:
            for lane in self._lanes:
                lane.put(notice)

    def resume(self, alerts: Sequence[Alert]) -> None:
        """These are open since before a restart or a reload, and were told."""
        notices = [
            Notice(Kind.OPENED, alert, 0.0, send=True)
            for alert in alerts
            if alert.notified
        ]
        for lane in self._lanes:
            lane.resume(notices)

    def stats(self) -> dict[str, dict[str, int]]:
        """The counters of each channel, by its name."""
        return {
            lane.name: {"queued": lane.queued, **asdict(lane.counters)}
            for lane in self._lanes
        }

    def close(self, seconds: float = DRAIN_SECONDS) -> None:
        """Tell what waits, as far as that goes; the rest is reported."""
        end = clock.monotonic() + seconds
        for lane in self._lanes:
            lane.begin_close()
        for lane in self._lanes:
            lane.close(end)


def make_channel(given: Given, gateway: str) -> Channel:
    """The channel of a complete section."""
    return _MAKERS[given.type](given, gateway)


def _webhook(given: Given, _: str) -> Channel:
    # imported when the first is made: HTTP and TLS take 3 MB, apprise 23
    from pipeline.analyzer.channels.webhook import MAKES, Webhook

    make = MAKES[given.type]
    return Webhook(given.url, given.headers, given.timeout_seconds, make)


def _alertmanager(given: Given, gateway: str) -> Channel:
    from pipeline.analyzer.channels.alertmanager import Alertmanager

    return Alertmanager(given.url, given.headers, given.timeout_seconds, gateway)


def _email(given: Given, _: str) -> Channel:
    from pipeline.analyzer.channels.email import Email

    return Email(given)


def _apprise(given: Given, _: str) -> Channel:
    from pipeline.analyzer.channels.apprise import Apprise

    return Apprise(given.name, given.url, given.timeout_seconds)


_MAKERS: Final[dict[str, Callable[[Given, str], Channel]]] = {
    "console": lambda _given, _: Console(),
    "file": lambda given, _: JsonLines(given.path),
    "webhook": _webhook,
    "slack": _webhook,
    "discord": _webhook,
    "email": _email,
    "alertmanager": _alertmanager,
    "apprise": _apprise,
}
