"""Messages of a shape that was never there before, at WARN and above.

The ids of all templates that the store has are loaded at start. A store younger than
the learning time knows too little to call anything new. A source whose messages have no
stable shape would be told of without end: beyond a budget it is told of once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.analyzer.detectors.queries import of_source, of_template
from pipeline.analyzer.detectors.sliding import Ticker
from pipeline.analyzer.findings import IGNORED, Counts, Event, Finding, State
from pipeline.level import LEVEL_NAMES, Level

KNOWN: Final = 100_000
"""Ids that are remembered, 8 MB; what is new beyond is counted as untracked."""

HOLD: Final = 300
"""Seconds without the pattern after which its finding is over."""

BUDGET: Final = 10
"""New patterns of a source that are open at once; beyond it they are one finding."""

_MANY: Final = "many"
_CHARACTERS: Final = 200
_GROWTH: Final = 4


@dataclass(slots=True)
class _Open:
    """A pattern that is new; times are the ticker's but `since`."""

    event: Event
    since: int
    last: int
    count: int
    told: int


class NewPatterns:
    """One finding for each pattern that was never seen, as long as it goes on."""

    name = "new_pattern"

    def __init__(
        self, learning: int = 3_600, minimum: int = 1, level: int = Level.WARN
    ) -> None:
        self.untracked = 0
        self._ticker = Ticker()
        self._known: set[int] = set()
        self._first: int | None = None
        """When the first entry was, by the ticker."""
        self._open: dict[tuple[str, int | str], _Open] = {}
        self._per_source: dict[str, int] = {}
        self._findings: list[Finding] = []
        self.configure(learning, minimum, level)

    def configure(self, learning: int, minimum: int, level: int) -> None:
        """Other limits from now on; what is known stays."""
        self._learning = learning
        self._minimum = minimum
        self._level = level

    def restore_events(self, events: Sequence[Event], now: int) -> None:
        """The store's patterns are known, and the oldest says how old it is."""
        self._ticker.advance(now)
        for event in events:
            if len(self._known) < KNOWN or event.pattern in self._known:
                self._known.add(event.pattern)
            else:
                self.untracked += 1
            first = self._ticker.elapsed - max(0, now - event.second)
            self._first = first if self._first is None else min(self._first, first)

    def observe_counts(self, counts: Counts, now: int) -> None:
        """Nothing: counts have no patterns."""

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Take in the groups of one committed batch that arrived at `now`."""
        self._ticker.advance(now)
        if self._first is None and events:
            self._first = self._ticker.elapsed
        for event in events:
            if event.source in IGNORED or event.level < self._level:
                continue
            held = self._open.get((event.source, event.pattern))
            if held is not None:
                self._again(held, event, event.pattern, now)
            elif event.pattern and event.pattern not in self._known:
                self._new(event, now)

    def evaluate(self, now: int) -> list[Finding]:
        """What was new since the last time, and what no longer comes."""
        self._ticker.advance(now)
        findings, self._findings = self._findings, []
        for (source, key), held in list(self._open.items()):
            if self._ticker.elapsed - held.last < HOLD:
                continue
            del self._open[source, key]
            if key != _MANY:
                self._per_source[source] -= 1
                if not self._per_source[source]:
                    del self._per_source[source]
            if held.told:
                findings.append(self._finding(key, held, State.CLOSED, now))
        return findings

    def _new(self, event: Event, now: int) -> None:
        if len(self._known) >= KNOWN:
            self.untracked += event.count
            return
        self._known.add(event.pattern)
        begun = self._ticker.elapsed if self._first is None else self._first
        if self._ticker.elapsed - begun < self._learning:
            return
        source, key = event.source, event.pattern
        if self._per_source.get(source, 0) < BUDGET:
            self._per_source[source] = self._per_source.get(source, 0) + 1
            held = _Open(event, self._second(event, now), self._ticker.elapsed, 0, 0)
            self._open[source, key] = held
            self._again(held, event, key, now)
            return
        many = self._open.get((source, _MANY))
        if many is None:
            many = _Open(event, self._second(event, now), self._ticker.elapsed, 0, 0)
            self._open[source, _MANY] = many
        self._again(many, event, _MANY, now)

    def _again(self, held: _Open, event: Event, key: int | str, now: int) -> None:
        held.last = self._ticker.elapsed
        held.count += event.count
        needed = max(self._minimum, _GROWTH * held.told)
        if held.count >= needed:
            held.told = held.count
            self._findings.append(self._finding(key, held, State.OPEN, now))

    @staticmethod
    def _second(event: Event, now: int) -> int:
        return min(event.second, now)

    def _finding(self, key: int | str, held: _Open, state: State, now: int) -> Finding:
        event = held.event
        source, level = event.source, event.level
        name = LEVEL_NAMES[level]
        shape = event.template[:_CHARACTERS]
        where = of_source(source, self._level)
        if isinstance(key, str):
            text = f"ever more new patterns of {source}, {held.count} entries: {shape}"
            query = where
        else:
            times = "once" if held.count == 1 else f"{held.count} times"
            text = f"new {name} pattern of {source}, {times}: {shape}"
            query = f"{where} {of_template(event.template)}"
        if state is State.CLOSED:
            text = f"not in the last {HOLD} s: {text}"
        return Finding(
            detector=self.name,
            source=source,
            key=key if isinstance(key, str) else f"{key:016x}",
            state=state,
            at=now,
            since=held.since,
            value=held.count,
            baseline=0,
            threshold=self._minimum,
            window=HOLD,
            text=text,
            query=query,
            level=level,
        )
