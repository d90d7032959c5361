"""What is seen of the stream: commits to detectors, and what did not come; pure.

Commits that did not come are asked for one by one kind: counts for summaries, groups
for batches. What the store tells of them is observed late, at its own seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from pipeline.alerts import SOURCE
from pipeline.analyzer.batches import events_of
from pipeline.analyzer.findings import IGNORED, Counts, Detector, Event, Finding
from pipeline.analyzer.follower import Follower, Hole, read_batch, read_summary
from pipeline.errors import FrameError
from pipeline.level import Level

LATE_SECONDS: Final = 5
"""A batch that has not come so long after its summary will not come."""


class Missing(NamedTuple):
    """Commits to be asked of the store."""

    kind: str
    """counts or events."""
    hole: Hole


class Watch:
    """Both streams; `missing` is taken by whoever can ask."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self.detectors = list(detectors)
        self.summaries = Follower()
        self.batches = Follower()
        self.counters: Counter[str] = Counter()
        self.missing: list[Missing] = []
        self.notes: list[str] = []
        self.alert_events = 0
        """Entries of source `alerts` that summaries told of, since it was set to 0."""
        self._late: tuple[int, int] = (0, 0)

    def begin(self, commit: int, events_commit: int) -> None:
        """The store told of all up to these commits, of which the second is earlier."""
        self._note("counts", self.summaries.begin(commit))
        self._note("events", self.batches.begin(events_commit))

    def take_summary(self, body: bytes, now: int) -> None:
        """One summary that arrived at `now` (s)."""
        try:
            summary = read_summary(body)
        except FrameError as error:
            self._refuse("summaries_malformed", error)
            return
        step = self.summaries.follow(summary.boot, summary.block)
        if step.is_restart:
            self.notes.append("the ingester was restarted")
        self._note("counts", step.hole)
        if step.is_news:
            self.alert_events += sum(
                count for _, source, _, count in summary.counts if source == SOURCE
            )
            self.observe_counts(summary.counts, now)

    def take_batch(self, body: bytes, now: int) -> None:
        """One batch that arrived at `now` (s)."""
        try:
            batch = read_batch(body)
            step = self.batches.follow(batch.boot, batch.block)
            self._note("events", step.hole)
            if step.is_news:
                self.observe_events(events_of(batch.data), now)
        except FrameError as error:
            self._refuse("batches_malformed", error)

    def observe_counts(self, counts: Counts, now: int) -> None:
        """Have the detectors see counts, of whatever seconds."""
        watched = [row for row in counts if row[1] not in IGNORED]
        self.counters["entries"] += sum(int(row[3]) for row in watched)
        self.counters["errors"] += sum(
            int(row[3]) for row in watched if int(row[2]) >= Level.ERROR
        )
        self._each(lambda detector: detector.observe_counts(watched, now))

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Have the detectors see groups of entries."""
        if events:
            self._each(lambda detector: detector.observe_events(events, now))

    def evaluate(self, now: int) -> list[Finding]:
        """What the detectors say."""
        self._look_for_late(now)
        found: list[Finding] = []
        self._each(lambda detector: found.extend(_named(detector, now)))
        return found

    def set_aside(self, broken: Mapping[int, str]) -> None:
        """Go on without these detectors, by their `id`, until a reload."""
        for detector in list(self.detectors):
            if id(detector) in broken:
                self._fail(detector, broken[id(detector)])

    def _fail(self, detector: Detector, problem: str) -> None:
        self.detectors.remove(detector)
        self.counters["detectors_failed"] += 1
        self.notes.append(f"detector {detector.name} is set aside: {problem}")

    def _each(self, act: Callable[[Detector], None]) -> None:
        """A detector that fails is set aside until a reload: others go on."""
        for detector in list(self.detectors):
            try:
                act(detector)
            except Exception as error:  # noqa: BLE001 - it may be somebody else's code
                self._fail(detector, f"{type(error).__name__}: {error}")

    def reach(self, commit: int) -> None:
        """The store has got so far: what did not come by now will not come."""
        self._note("counts", self.summaries.reach(commit))

    def _look_for_late(self, now: int) -> None:
        """Batches that should have come with summaries of a while ago."""
        block, since = self._late
        if now - since < LATE_SECONDS:
            return
        # both are told by one process, summaries first: a batch is never ahead for long
        self._note("events", self.batches.reach(block))
        self._late = self.summaries.block, now

    def _note(self, kind: str, hole: Hole | None) -> None:
        if hole is None:
            return
        missed = hole.up_to - hole.after
        name = "summaries_missed" if kind == "counts" else "batches_missed"
        self.counters[name] += missed
        self.missing.append(Missing(kind, hole))

    def _refuse(self, name: str, error: FrameError) -> None:
        self.counters[name] += 1
        self.notes.append(str(error))


def _named(detector: Detector, now: int) -> list[Finding]:
    """Its findings under its own name, by which they end when it goes."""
    name = detector.name
    return [
        one if one.detector == name else replace(one, detector=name)
        for one in detector.evaluate(now)
    ]
