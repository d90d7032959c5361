"""What the entries of source `alerts` come to: alerts, who saw them, silences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from pipeline.alerts.model import (
    VERSION,
    Acknowledgement,
    Alert,
    Kind,
    Matcher,
    Silence,
)
from pipeline.errors import EntryError
from pipeline.timestamp import parse_timestamp


class Folded(Struct, frozen=True):
    """What the events come to: alerts and silences, newest first."""

    alerts: list[Alert]
    silences: list[Silence]
    undelivered: int
    malformed: int


class _Event(Struct):
    """What every event has, and what the short ones have beside."""

    version: int
    event: Kind
    at: str
    fingerprint: str = ""
    by: str = ""
    comment: str = ""
    until: str = ""
    matcher: Matcher | None = None


INCIDENTS: Final = 5_000
"""Held at once, 5 KB each: beyond, the oldest that is over is forgotten."""


def fold(events: Iterable[Mapping[str, Any]]) -> Folded:
    """What metadata of entries of source `alerts`, oldest first, comes to.

    Anybody may write to that source: what isn't of this format is counted and left out.
    """
    state = _State()
    for fields in events:
        try:
            event = msgspec.convert(fields, _Event)
            if event.version > VERSION:
                continue
            _STEPS[event.event](state, event, fields)
        except (msgspec.ValidationError, EntryError):
            state.malformed += 1
    return Folded(
        sorted(state.alerts.values(), key=lambda one: one.opened, reverse=True),
        sorted(state.silences.values(), key=lambda one: one.at, reverse=True),
        state.undelivered,
        state.malformed,
    )


class _State:
    """What the events so far come to; an incident is a fingerprint and its opening."""

    def __init__(self) -> None:
        self.alerts: dict[tuple[str, str], Alert] = {}
        self.latest: dict[str, str] = {}
        self.silences: dict[str, Silence] = {}
        self.undelivered = self.malformed = 0

    def tell(self, _event: _Event, fields: Mapping[str, Any]) -> None:
        """The alert stands as this says; what it doesn't repeat stays."""
        alert = msgspec.convert(fields, Alert)
        if not alert.reasons or not alert.sources:
            raise msgspec.ValidationError("an alert of nothing")
        reasons = (reason.since for reason in alert.reasons)
        for moment in (alert.since, alert.opened, alert.at, *reasons):
            parse_timestamp(moment, 0)
        if alert.resolved is not None:
            parse_timestamp(alert.resolved, 0)
        self._supersede(alert)
        key = alert.fingerprint, alert.opened
        before = self.alerts.get(key)
        if before is not None:
            alert = msgspec.structs.replace(
                alert,
                samples=alert.samples or before.samples,
                patterns=alert.patterns or before.patterns,
                acknowledged=alert.acknowledged or before.acknowledged,
            )
        self.alerts[key] = alert
        if len(self.alerts) > INCIDENTS:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        over = (key for key, one in self.alerts.items() if one.state != "open")
        oldest = next(over, next(iter(self.alerts)))
        del self.alerts[oldest]
        if self.latest.get(oldest[0]) == oldest[1]:
            del self.latest[oldest[0]]

    def _supersede(self, alert: Alert) -> None:
        """An incident that never heard its end, as in a crash, ends with the next."""
        last = self.latest.get(alert.fingerprint)
        if last is not None and last < alert.opened:
            key = alert.fingerprint, last
            if (old := self.alerts[key]).state == "open":
                self.alerts[key] = msgspec.structs.replace(
                    old, state="resolved", resolved=alert.opened
                )
        self.latest[alert.fingerprint] = max(last or "", alert.opened)

    def acknowledge(self, event: _Event, _fields: Mapping[str, Any]) -> None:
        """The last incident has been seen, if it is open."""
        key = event.fingerprint, self.latest.get(event.fingerprint, "")
        alert = self.alerts.get(key)
        if alert is not None and alert.state == "open":
            seen = Acknowledgement(event.by, event.comment, event.at)
            self.alerts[key] = msgspec.structs.replace(alert, acknowledged=seen)

    def silence(self, event: _Event, _fields: Mapping[str, Any]) -> None:
        """Hold back what fits, until then."""
        parse_timestamp(event.until or "missing", 0)
        if event.matcher is None:
            raise msgspec.ValidationError("a silence of nothing")
        found = event.matcher.id
        self.silences[found] = Silence(
            id=found,
            matcher=event.matcher,
            until=event.until,
            by=event.by,
            comment=event.comment,
            at=event.at,
        )

    def unsilence(self, event: _Event, _fields: Mapping[str, Any]) -> None:
        """No longer hold it back."""
        if event.matcher is not None:
            self.silences.pop(event.matcher.id, None)

    def count_undelivered(self, _event: _Event, _fields: Mapping[str, Any]) -> None:
        """A channel could not say it."""
        self.undelivered += 1


_STEPS: Final = {
    Kind.OPENED: _State.tell,
    Kind.UPDATED: _State.tell,
    Kind.RESOLVED: _State.tell,
    Kind.ACKNOWLEDGED: _State.acknowledge,
    Kind.SILENCED: _State.silence,
    Kind.UNSILENCED: _State.unsilence,
    Kind.UNDELIVERED: _State.count_undelivered,
}
