"""Prometheus Alertmanager, as Prometheus itself talks to it: POST /api/v2/alerts.

It takes an alert for over when it has not heard of it for a while, so those that are
open are repeated each minute, and each says that it holds for four, which outlasts
three posts that fail. Its own grouping, silences and routes come on top of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from pipeline.alerts import Alert, Kind
from pipeline.alerts.model import SAMPLES, cut
from pipeline.analyzer.book import Notice
from pipeline.analyzer.channels.http import Poster
from pipeline.analyzer.channels.wording import severity, sources
from pipeline.timestamp import SECOND, format_timestamp

REPEAT_SECONDS: Final = 60.0
HOLDS_SECONDS: Final = 4 * 60
_LABEL_BYTES: Final = 1_000
_QUERY_BYTES: Final = 1_500
"""In a URL, which some browsers and proxies cut at 2 KB."""


class Alertmanager:
    """Posts to one of them; the gateway's URL leads back to the entries."""

    repeat_seconds = REPEAT_SECONDS

    def __init__(
        self, url: str, headers: Mapping[str, str], timeout: float, gateway: str
    ) -> None:
        self._poster = Poster(url.rstrip("/") + "/api/v2/alerts", headers, timeout)
        self._replay = gateway.rstrip("/") + "/export"
        self._severities: dict[str, str] = {}

    def deliver(self, notice: Notice, now: float) -> None:
        """One alert."""
        self._post([notice], now)

    def repeat(self, notices: list[Notice], now: float) -> None:
        """All that is open."""
        open_now = {notice.alert.fingerprint for notice in notices}
        for gone in self._severities.keys() - open_now:
            del self._severities[gone]
        self._post(notices, now)

    def _post(self, notices: list[Notice], now: float) -> None:
        said = [self._alert(notice, now) for notice in notices]
        self._poster.post(msgspec.json.encode(said))

    def _alert(self, notice: Notice, now: float) -> dict[str, Any]:
        alert = notice.alert
        ends = format_timestamp(int(now + HOLDS_SECONDS) * SECOND)
        if notice.kind is Kind.RESOLVED:
            ends = alert.resolved or alert.at
        return {
            "labels": self._labels(alert),
            "annotations": _annotations(alert),
            "startsAt": alert.opened,
            "endsAt": ends,
            "generatorURL": self._url(alert),
        }

    def _labels(self, alert: Alert) -> dict[str, str]:
        """The same from its beginning to its end: they are what it is known by there.

        The severity is that of its beginning, and the source is one or none.
        """
        name = alert.fingerprint
        labels = {
            "alertname": alert.detector,
            "fingerprint": name,
            "severity": self._severities.setdefault(name, severity(alert)),
        }
        if alert.detector != "group":
            labels["source"] = cut(alert.sources[0] or "all", _LABEL_BYTES)
        return labels

    def _url(self, alert: Alert) -> str:
        asked = {"since": alert.query_since, "until": alert.query_until}
        if alert.query and len(alert.query) <= _QUERY_BYTES:
            asked["q"] = alert.query
        return f"{self._replay}?{urlencode(asked)}"


def _annotations(alert: Alert) -> dict[str, str]:
    found = {"summary": alert.text, "sources": sources(alert), "query": alert.query}
    shown = [f"{one.timestamp} {one.message}" for one in alert.samples[:SAMPLES]]
    if shown:
        found["samples"] = "\n".join(shown)
    return found
