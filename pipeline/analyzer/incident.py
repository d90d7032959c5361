"""One incident: its reasons, what was told of it last, and the alert it makes; pure.

Times are seconds since the epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from pipeline.alerts import Acknowledgement, Alert, Reason
from pipeline.alerts.model import REASONS, SOURCES, cut, digest
from pipeline.analyzer.findings import EVERYWHERE, Finding, State
from pipeline.timestamp import SECOND, format_timestamp, parse_timestamp

GROUP: Final = "group"
"""The detector of an alert that many sources share."""

GROWTH: Final = 4
"""A value so many times what was told is news."""

REASONS_HELD: Final = 1_000
"""Of one incident: a source may say thousands of things that it never said before."""

KEY_CHARACTERS: Final = 200
TEXT_BYTES: Final = 1_000
QUERY_CHARACTERS: Final = 4_000
"""Of an alert's query, which has a part for each reason."""
REASON_QUERY_CHARACTERS: Final = 1_000
"""Half a query would show something else: a longer one is left out."""

Key = tuple[str, str, str]
"""Detector, source and key: what tells one reason from another."""


def key_of(finding: Finding) -> Key:
    """The reason that a finding is about; a long key, such as a path, in short."""
    key = finding.key if len(finding.key) <= KEY_CHARACTERS else digest(finding.key)
    return finding.detector, finding.source, key


@dataclass(slots=True, eq=False)
class Incident:
    """What is wrong with a source, or with a group of them."""

    first: float
    """When its first finding came."""
    group: bool = False
    opened: float = 0.0
    resolved: float | None = None
    reasons: dict[Key, Finding] = field(default_factory=dict)
    sources: dict[str, None] = field(default_factory=dict)
    unconfirmed: set[Key] = field(default_factory=set)
    """Open before a restart, and not yet found again."""
    untracked: int = 0
    identity: str = ""
    acknowledged: Acknowledgement | None = None
    notified: bool = False
    """Channels believe that it is open."""
    told_at: float = 0.0
    told_level: int = 0
    told_sources: int = 0
    told_values: dict[Key, float] = field(default_factory=dict)
    cool_until: float = 0.0
    """Before then it may open again without a word."""

    @property
    def fingerprint(self) -> str:
        """The same when the same happens again."""
        if not self.identity:
            parts = (GROUP, "", "") if self.group else next(iter(self.reasons))
            self.identity = digest(*parts)
        return self.identity

    @property
    def is_open(self) -> bool:
        """Opened, and not over."""
        return bool(self.opened) and self.resolved is None

    def open_reasons(self) -> Iterable[Finding]:
        """Those that are not over."""
        return (one for one in self.reasons.values() if one.state is State.OPEN)

    def take(self, finding: Finding) -> None:
        """A reason opens, goes on or closes; one that never opened can't close."""
        key = key_of(finding)
        known = self.reasons.get(key)
        if known is None:
            if finding.state is State.CLOSED:
                return
            if len(self.reasons) >= REASONS_HELD and not self._forget_closed():
                self.untracked += 1
                return
        elif finding.state is State.CLOSED:
            # its numbers are those of the end: what it was is told to the last
            finding = _changed(known, State.CLOSED, finding.at)
        elif known.since < finding.since:
            finding = replace(finding, since=known.since)
        self.unconfirmed.discard(key)
        self.reasons[key] = finding
        self.sources.setdefault(finding.source)

    def close(self, keys: Iterable[Key], at: float) -> None:
        """These reasons are over, though no detector says so."""
        for key in list(keys):
            if (known := self.reasons.get(key)) is not None:
                self.reasons[key] = _changed(known, State.CLOSED, int(at))
            self.unconfirmed.discard(key)

    def absorb(self, other: Incident) -> None:
        """Take over what another one has, before it was told."""
        for finding in other.reasons.values():
            self.take(_changed(finding, State.OPEN, finding.at))
            self.take(finding)

    def _forget_closed(self) -> bool:
        """Make room: the first reason that is over goes, but for what names it."""
        for place, (key, finding) in enumerate(self.reasons.items()):
            if place and finding.state is State.CLOSED:
                del self.reasons[key]
                return True
        return False

    def news(self) -> bool:
        """Whether it is worse than what was told."""
        if self.group and len(self.sources) >= GROWTH * self.told_sources:
            return True
        for finding in self.open_reasons():
            if finding.level > self.told_level:
                return True
            told = self.told_values.get(key_of(finding), 0.0)
            if 0 < told < math.inf and finding.value >= GROWTH * told:
                return True
        return False

    def tell(self, now: float) -> None:
        """Remember what is told now, to know what is news."""
        self.told_at = now
        self.told_sources = len(self.sources)
        levels = [one.level for one in self.open_reasons()]
        self.told_level = max([self.told_level, *levels])
        self.told_values = {key: one.value for key, one in self.reasons.items()}

    def alert(self, now: float, note: str = "") -> Alert:
        """The alert as it stands."""
        found = sorted(self.reasons.values(), key=_rank)
        first = next(iter(self.reasons.values()))
        since = min(one.since for one in found)
        sources = list(self.sources)
        text = _group_text(sources, first) if self.group else first.text
        more = "" if self.group or len(found) == 1 else f" (+{len(found) - 1} more)"
        over = self.resolved is not None
        return Alert(
            fingerprint=self.fingerprint,
            state="resolved" if over else "open",
            detector=GROUP if self.group else first.detector,
            sources=sources[:SOURCES],
            sources_total=len(sources),
            level=max(one.level for one in found),
            text=cut(text, TEXT_BYTES) + more + (f"; {note}" if note else ""),
            since=moment(since),
            opened=moment(self.opened),
            at=moment(now),
            resolved=None if self.resolved is None else moment(self.resolved),
            value=float(len(sources)) if self.group else _finite(first.value),
            baseline=None if self.group else _finite(first.baseline),
            threshold=None if self.group else _finite(first.threshold),
            window=first.window,
            reasons=[_reason(one) for one in found[:REASONS]],
            query=_query(found),
            query_since=moment(since),
            query_until=moment(int(now) + 1),
            notified=self.notified,
            acknowledged=self.acknowledged,
        )


def restored(alert: Alert) -> Incident:
    """The incident that an alert tells of; its open reasons have to be found again."""
    incident = Incident(
        first=seconds(alert.opened),
        group=alert.detector == GROUP,
        opened=seconds(alert.opened),
        resolved=None if alert.resolved is None else seconds(alert.resolved),
        sources=dict.fromkeys(alert.sources),
        identity=alert.fingerprint,
        acknowledged=alert.acknowledged,
        notified=alert.notified and alert.state == "open",
        told_at=seconds(alert.at),
    )
    # the first reason is the one that the alert is named for
    named = [one for one in alert.reasons if one.detector == alert.detector]
    for reason in [*named, *alert.reasons]:
        finding = _finding(reason, int(incident.told_at))
        incident.reasons.setdefault(key_of(finding), finding)
    incident.unconfirmed = {key_of(one) for one in incident.open_reasons()}
    incident.tell(incident.told_at)
    incident.told_level = max(incident.told_level, alert.level)
    return incident


def moment(second: float) -> str:
    """As entries have it; a float tells milliseconds of this century."""
    return format_timestamp(round(second * 1000) * (SECOND // 1000))


def seconds(text: str) -> float:
    """The other way; raises EntryError for what is no time."""
    return parse_timestamp(text, 0) / SECOND


def _rank(finding: Finding) -> tuple[bool, int]:
    return finding.state is State.CLOSED, -finding.level


def _changed(finding: Finding, state: State, at: int) -> Finding:
    return replace(finding, state=state, at=at)


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _reason(finding: Finding) -> Reason:
    query = finding.query
    return Reason(
        detector=finding.detector,
        source=finding.source,
        key=key_of(finding)[2],
        level=finding.level,
        text=cut(finding.text, TEXT_BYTES),
        since=moment(finding.since),
        value=_finite(finding.value),
        baseline=_finite(finding.baseline),
        threshold=_finite(finding.threshold),
        window=finding.window,
        query=query if len(query) <= REASON_QUERY_CHARACTERS else "",
        open=finding.state is State.OPEN,
    )


def _finding(reason: Reason, at: int) -> Finding:
    known = msgspec.structs.asdict(reason)
    del known["open"]
    known["value"] = math.inf if reason.value is None else reason.value
    known["since"] = int(seconds(reason.since))
    return Finding(state=State.OPEN if reason.open else State.CLOSED, at=at, **known)


def _group_text(sources: list[str], first: Finding) -> str:
    named = ", ".join(one for one in sources[:5] if one != EVERYWHERE)
    dots = ", …" if len(sources) > len(named.split(", ")) else ""
    many = f"{len(sources)} sources at once" if len(sources) > 1 else "after others"
    return f"{many} ({named}{dots}): first {first.text}"


def _query(found: Iterable[Finding]) -> str:
    """Any of the reasons' filters, as many as fit; the first alone always does."""
    parts = list(dict.fromkeys(one.query for one in found if one.query))
    if len(parts) < 2:
        return "".join(parts)
    kept, size = [], 0
    for part in parts:
        size += len(part) + len("() OR ")
        if size > QUERY_CHARACTERS:
            break
        kept.append(f"({part})")
    return " OR ".join(kept)
