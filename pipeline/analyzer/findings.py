"""What a detector says: something opened, goes on, or is over; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from pipeline.level import Level

EVERYWHERE: Final = ""
"""The name, which no source has, of all sources together."""

IGNORED: Final = frozenset({"alerts", "pipeline", "audit"})
"""Sources that the pipeline itself writes to: judging them would feed an alert."""

Counts = Sequence[Sequence[int | str]]
"""Rows of (second, source, level, count), as a summary has them."""


class State(StrEnum):
    """Whether a finding begins or ends; an open one may be repeated."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement: `value` against `threshold` or `baseline` in `window` seconds.

    `key` tells findings of one detector and source apart (a pattern's id, a path, a
    rule's name), `at` and `since` are seconds since the epoch, `query` is the filter
    that shows the entries behind it and `text` one line for people.
    """

    detector: str
    source: str
    key: str
    state: State
    at: int
    since: int
    value: float
    baseline: float | None
    threshold: float | None
    window: int
    text: str
    query: str
    level: int = Level.ERROR


@dataclass(frozen=True, slots=True)
class Event:
    """What a detector of patterns or durations needs of one group of committed entries.

    `second` is of the group's first entry, `pattern` the 64-bit id that compaction
    gives, `durations` are of `duration_ms` and may be empty.
    """

    second: int
    source: str
    level: int
    pattern: int
    template: str
    count: int
    path: str = ""
    durations: Sequence[float] = ()


class Detector(Protocol):
    """Watches counts, or groups of entries; `now` is in seconds since the epoch."""

    @property
    def name(self) -> str:
        """What its findings and the configuration call it."""

    def observe_counts(self, counts: Counts, now: int) -> None:
        """Take in one summary that arrived at `now`."""

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Take in the groups of one committed batch that arrived at `now`."""

    def evaluate(self, now: int) -> list[Finding]:
        """What has opened, closed or changed since the last time."""


@runtime_checkable
class LearnsCounts(Protocol):
    """A detector that is told of past counts before it is evaluated for the first time.

    What is recent enough for its windows comes by `observe_counts` too, second by
    second, each with the `now` of its time.
    """

    def restore(self, rows: Counts, now: int, width: int) -> None:
        """Past counts, each the sum of `width` seconds from its second on.

        There may be several calls, of times that don't overlap, the oldest first.
        """


@runtime_checkable
class LearnsEvents(Protocol):
    """A detector that is told which patterns the store has, before anything else."""

    def restore_events(self, events: Sequence[Event], now: int) -> None:
        """Groups of WARN and above; `second` is of the first entry of each."""


DurationRow = tuple[str, str, int, float, float]
"""Source, path, entries, and of their `duration_ms` the median and 95th percentile."""


@runtime_checkable
class LearnsDurations(Protocol):
    """A detector that is told how long things took, before anything else."""

    def restore_durations(self, rows: Iterable[DurationRow], now: int) -> None:
        """Of the recent past."""
