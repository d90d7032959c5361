"""Patterns that came steadily and no longer do, though their source goes on.

Steady is what came a hundred times over a day at least. It has vanished after an hour,
ten times its longest gap, and thirty of its mean ones. It learns while it runs: the
store keeps how often a pattern was there, not its gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.analyzer.detectors.queries import of_source, of_template
from pipeline.analyzer.detectors.sliding import Ticker
from pipeline.analyzer.findings import IGNORED, Counts, Event, Finding, State
from pipeline.level import LEVEL_NAMES, Level

PATTERNS: Final = 5_000
"""Patterns that are watched, 1 KB each; the others are counted as untracked."""

SOURCES: Final = 5_000
STEADY: Final = 100
SPAN: Final = 86_400
FACTOR: Final = 10
CERTAIN: Final = 30
ALIVE: Final = 300
"""A source that had an entry so many seconds ago goes on."""
FORGET: Final = 86_400
"""A pattern is given up after so many seconds, or as many as it was there for."""

_CHARACTERS: Final = 1_000

Key = tuple[str, int]


@dataclass(slots=True)
class _Pattern:
    """What is known of one; times are watched seconds."""

    template: str
    level: int
    first: int
    last: int
    count: int
    longest: int = 0
    open: bool = False


class VanishedPatterns:
    """One finding for each steady pattern that is gone, until it is back."""

    name = "vanished_pattern"

    def __init__(self, floor: int = 3_600) -> None:
        self.untracked = 0
        self._floor = floor
        self._ticker = Ticker()
        self._patterns: dict[Key, _Pattern] = {}
        self._heard: dict[str, int] = {}
        self._findings: list[Finding] = []
        self._minute = 0

    def configure(self, floor: int) -> None:
        """Another limit from now on; what was learnt stays."""
        self._floor = floor

    def observe_counts(self, counts: Counts, now: int) -> None:
        """Hear which sources go on."""
        self._ticker.advance(now)
        for _, source, _, _ in counts:
            if source in self._heard or len(self._heard) < SOURCES:
                self._heard[str(source)] = self._ticker.watched

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Take in the groups of one committed batch that arrived at `now`."""
        self._ticker.advance(now)
        watched = self._ticker.watched
        for event in events:
            if event.source in IGNORED or not event.pattern:
                continue
            key = event.source, event.pattern
            found = self._patterns.get(key)
            if found is not None:
                self._again(key, found, event, now)
            elif len(self._patterns) < PATTERNS:
                shape = event.template[:_CHARACTERS]
                self._patterns[key] = _Pattern(
                    shape, event.level, watched, watched, event.count
                )
            else:
                self.untracked += event.count

    def evaluate(self, now: int) -> list[Finding]:
        """What has vanished and what is back; looked at once a minute."""
        self._ticker.advance(now)
        findings, self._findings = self._findings, []
        if self._ticker.watched // 60 != self._minute:
            self._minute = self._ticker.watched // 60
            for key, found in list(self._patterns.items()):
                self._judge(key, found, now, findings)
        return findings

    def _again(self, key: Key, found: _Pattern, event: Event, now: int) -> None:
        gap = self._ticker.watched - found.last
        found.last = self._ticker.watched
        found.count += event.count
        found.longest = max(found.longest, gap)
        if found.open:
            found.open = False
            self._findings.append(
                self._finding(key, found, State.CLOSED, gap, now, "is back")
            )

    def _judge(
        self, key: Key, found: _Pattern, now: int, findings: list[Finding]
    ) -> None:
        gap = self._ticker.watched - found.last
        if gap >= max(FORGET, found.last - found.first):
            if found.open:
                said = "is given up"
                findings.append(self._finding(key, found, State.CLOSED, gap, now, said))
            del self._patterns[key]
            return
        alive = self._ticker.watched - self._heard.get(key[0], -ALIVE) < ALIVE
        if not found.open and alive and gap >= self._limit(found):
            found.open = True
            findings.append(
                self._finding(key, found, State.OPEN, gap, now, "has vanished")
            )

    def _limit(self, found: _Pattern) -> float:
        span = found.last - found.first
        if found.count < STEADY or span < SPAN:
            return float("inf")
        mean = span / found.count
        return max(self._floor, FACTOR * found.longest, CERTAIN * mean)

    def _finding(
        self, key: Key, found: _Pattern, state: State, gap: int, now: int, what: str
    ) -> Finding:
        source, pattern = key
        limit = self._limit(found)
        text = (
            f"a steady {LEVEL_NAMES[found.level]} pattern of {source} {what}, after"
            f" {gap} s (longest gap before: {found.longest} s): {found.template[:200]}"
        )
        return Finding(
            detector=self.name,
            source=source,
            key=f"{pattern:016x}",
            state=state,
            at=now,
            since=now - gap,
            value=gap,
            baseline=found.longest,
            threshold=None if limit == float("inf") else limit,
            window=gap,
            text=text,
            query=f"{of_source(source)} {of_template(found.template)}",
            level=Level.WARN,
        )
