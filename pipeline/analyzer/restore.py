"""What the analyzer knows again after a start: of the store, in four kinds of steps.

Open alerts, acknowledgements and silences; what was usual in the last week; the known
patterns; and the current windows, which are replayed second by second. The last reply
names its newest commit: from there on the summaries count. Logic without I/O: a
generator asks and is sent the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from pipeline.alerts import Alert, Silence
from pipeline.analyzer.findings import (
    IGNORED,
    Counts,
    Detector,
    DurationRow,
    Event,
    Finding,
    LearnsCounts,
    LearnsDurations,
    LearnsEvents,
)
from pipeline.level import Level
from pipeline.query.alerted import ALERTS_MAX, AlertsReply
from pipeline.query.committed import CountsReply, EventsReply
from pipeline.timestamp import SECOND, format_timestamp

DAY: Final = 86_400
DAYS: Final = 7
SLOT: Final = 1_800
"""Steps of the week: what is usual has a value for each half hour."""

MINUTE: Final = 60
FINE: Final = 6 * 3_600
"""The last seconds come by minutes, which tell how even the rate is."""

RECENT_LEAST: Final = 300
RECENT_STEPS: Final = 300
QUESTION_SECONDS: Final = 30.0


HOUR: Final = 3_600
QUARTER: Final = 900
QUARTERS_AGO: Final = (6, 12, 18, 24)
"""Hours: of the rest of the day so many quarters of an hour tell, each for an hour."""
DURATIONS: Final = (
    "duration_ms:>=0 | stats by (source, path) count() as n,"
    " p50(duration_ms) as p50, p95(duration_ms) as p95 | limit 2000"
)


class _Table(msgspec.Struct):
    rows: list[list[Any]]


class _Aggregate(msgspec.Struct):
    table: _Table


class Ask(NamedTuple):
    """One question; the answer is sent back as JSON text, None if there is none."""

    method: str
    params: dict[str, Any]
    seconds: float = QUESTION_SECONDS


Reply = TypeVar("Reply")
Told = TypeVar("Told")

Steps = Generator[Ask, bytes | None, "Restored"]


@dataclass(slots=True)
class Restored:
    """What the store told; `commit` is None when it could not be asked."""

    commit: int | None = None
    events_commit: int | None = None
    """As far as patterns are known, which are asked for earlier."""
    alerts: list[Alert] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    """How each that opened in the current windows stands now."""
    failed: list[str] = field(default_factory=list)
    """The questions that had no answer."""
    broken: dict[int, str] = field(default_factory=dict)
    """Detectors that failed, by their `id`, and why."""

    def teach(self, detector: object, tell: Callable[[], Told]) -> Told | None:
        """Tell a detector, unless it has failed before; others are told anyway."""
        if id(detector) in self.broken:
            return None
        try:
            return tell()
        except Exception as error:  # noqa: BLE001 - it may be somebody else's code
            self.broken[id(detector)] = f"{type(error).__name__}: {error}"
            return None


def restore(
    detectors: Sequence[Detector], now: int, window: int, cooldown: float
) -> Steps:
    """Ask for everything and tell the detectors; `now` and `window` in seconds."""
    found = Restored()
    yield from _restore_alerts(found, now, cooldown)
    learning = [one for one in detectors if isinstance(one, LearnsCounts)]
    if learning:
        yield from _learn_counts(found, learning, now)
    knowing = [one for one in detectors if isinstance(one, LearnsEvents)]
    if knowing:
        yield from _learn_events(found, knowing, now)
    timing = [one for one in detectors if isinstance(one, LearnsDurations)]
    if timing:
        yield from _learn_durations(found, timing, now)
    yield from _replay(found, detectors, now, max(window, RECENT_LEAST))
    return found


def _restore_alerts(
    found: Restored, now: int, cooldown: float
) -> Generator[Ask, bytes | None, None]:
    """Open ones, and those that ended so lately that they may come back."""
    since = format_timestamp(int((now - cooldown) * SECOND))
    params = {"state": "all", "since": since, "limit": ALERTS_MAX}
    reply = _decode((yield Ask("get_alerts", params)), AlertsReply)
    if reply is None:
        found.failed.append("get_alerts")
        return
    found.alerts, found.silences = reply.alerts, reply.silences


def _learn_counts(
    found: Restored, detectors: Iterable[LearnsCounts], now: int
) -> Generator[Ask, bytes | None, None]:
    fine = (now - FINE) // SLOT * SLOT
    last = now // SLOT * SLOT
    for since, until, width in (
        (fine - DAYS * DAY, fine, SLOT),
        (fine, last, MINUTE),
    ):
        params = {"since": since, "until": until, "step": width}
        reply = _decode((yield Ask("counts", params)), CountsReply)
        if reply is None:
            found.failed.append("counts")
            continue
        rows = rows_of(reply)
        for detector in detectors:
            found.teach(detector, partial(detector.restore, rows, now, width))


def _learn_events(
    found: Restored, detectors: Iterable[LearnsEvents], now: int
) -> Generator[Ask, bytes | None, None]:
    """All that the store has; if that takes too long, those of the last day."""
    level = int(Level.WARN)
    for params in ({"level": level}, {"level": level, "since": now - DAY}):
        reply = _decode((yield Ask("events", params)), EventsReply)
        if reply is not None:
            found.events_commit = reply.commit
            events = events_of_reply(reply)
            for detector in detectors:
                found.teach(detector, partial(detector.restore_events, events, now))
            return
    found.failed.append("events")


def _learn_durations(
    found: Restored, detectors: Iterable[LearnsDurations], now: int
) -> Generator[Ask, bytes | None, None]:
    """Columns are read for this, unlike for counts: the last hour, and as much again
    of the day before it, whose wave is usual too. Without the hour nothing is asked.
    """
    rows: list[DurationRow] = []
    spans = [(now - HOUR, now, 1)]
    spans += [(now - ago * HOUR, now - ago * HOUR + QUARTER, 4) for ago in QUARTERS_AGO]
    for since, until, weight in spans:
        times = {"since": since, "until": until} if weight > 1 else {"since": since}
        params = {name: format_timestamp(at * SECOND) for name, at in times.items()}
        reply = _decode(
            (yield Ask("aggregate", {"q": DURATIONS, **params})), _Aggregate
        )
        if reply is None:
            found.failed.append("aggregate")
            break
        rows += [
            row for one in reply.table.rows if (row := _maybe_duration(one, weight))
        ]
    for detector in detectors if rows else ():
        found.teach(detector, partial(detector.restore_durations, rows, now))


def _maybe_duration(row: list[Any], weight: int) -> DurationRow | None:
    source, path, count, median, p95 = row
    if source in IGNORED or median is None or p95 is None:
        return None
    return source, path if isinstance(path, str) else "", count * weight, median, p95


def _replay(
    found: Restored, detectors: Sequence[Detector], now: int, window: int
) -> Generator[Ask, bytes | None, None]:
    """Let the detectors see the current windows as if they had been there."""
    step = -(-window // RECENT_STEPS)
    params = {"since": now - window - step, "step": step}
    reply = _decode((yield Ask("counts", params)), CountsReply)
    if reply is None:
        found.failed.append("counts")
        return
    found.commit = reply.commit
    latest: dict[tuple[str, str, str], Finding] = {}
    for second, rows in groupby(rows_of(reply), key=lambda row: int(row[0])):
        moment = min(second, now)
        told = list(rows)
        for detector in detectors:
            found.teach(detector, partial(detector.observe_counts, told, moment))
            for one in found.teach(detector, partial(detector.evaluate, moment)) or ():
                latest[one.detector, one.source, one.key] = one
    found.findings = list(latest.values())


def rows_of(reply: CountsReply) -> Counts:
    """Rows as a summary has them, but for the sources of the pipeline itself."""
    names = reply.sources
    return [
        (second, names[source], level, count)
        for second, source, level, count in reply.rows
        if names[source] not in IGNORED
    ]


def events_of_reply(reply: EventsReply) -> list[Event]:
    """Groups as a batch has them, but for the sources of the pipeline itself."""
    return [
        Event(one.second, one.source, one.level, one.pattern, one.template, one.count)
        for one in reply.groups
        if one.source not in IGNORED
    ]


def _decode(answer: bytes | None, kind: type[Reply]) -> Reply | None:
    return None if answer is None else msgspec.json.decode(answer, type=kind)
