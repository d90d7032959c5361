"""Patterns that came steadily and no longer do."""

from __future__ import annotations

import pytest

from pipeline.analyzer.detectors import vanished_pattern
from pipeline.analyzer.detectors.vanished_pattern import VanishedPatterns
from pipeline.analyzer.findings import Event, Finding, State
from pipeline.entry import Level

NOW = 1_795_305_600
DAY, HOUR = 86_400, 3_600
WARN = int(Level.WARN)


def _watch(
    detector: VanishedPatterns, begin: int, seconds: int, *patterns: int
) -> list[Finding]:
    """A minute at a time, each with one entry of each pattern of a source."""
    found = []
    for now in range(begin, begin + seconds, 60):
        detector.observe_counts([[now, "api", int(Level.INFO), 9]], now)
        events = [Event(now, "api", WARN, one, "cache <*> cold", 1) for one in patterns]
        detector.observe_events(events, now)
        found += detector.evaluate(now)
    return found


def test_a_steady_pattern_that_is_gone_is_found() -> None:
    """After an hour, once, and so is its return."""
    detector = VanishedPatterns()
    assert _watch(detector, NOW, DAY + HOUR, 1, 2) == []
    (gone,) = _watch(detector, NOW + DAY + HOUR, 3 * HOUR, 2)
    (back,) = _watch(detector, NOW + DAY + 4 * HOUR, HOUR, 1, 2)

    assert (gone.state, gone.key) == (State.OPEN, "0000000000000001")
    assert HOUR <= gone.value <= HOUR + 60
    assert gone.query.startswith('source:"api" message:/^cache ')
    assert back.state is State.CLOSED


def test_a_pattern_of_less_than_a_day_says_nothing() -> None:
    """Most of what comes for hours was one trouble."""
    detector = VanishedPatterns()
    _watch(detector, NOW, 20 * HOUR, 1)

    assert _watch(detector, NOW + 20 * HOUR, 6 * HOUR) == []


def test_a_silent_source_has_no_vanished_patterns() -> None:
    """That it is silent is what has to be said."""
    detector = VanishedPatterns()
    _watch(detector, NOW, DAY + HOUR, 1)
    found = []
    for now in range(NOW + DAY + HOUR, NOW + DAY + 4 * HOUR, 60):
        detector.observe_counts([[now, "other", WARN, 1]], now)
        found += detector.evaluate(now)

    assert found == []


def test_a_pattern_that_stays_away_is_given_up() -> None:
    """Its finding is over, and its place is free."""
    detector = VanishedPatterns()
    _watch(detector, NOW, DAY + HOUR, 1)
    found = _watch(detector, NOW + DAY + HOUR, DAY + 3 * HOUR)

    assert [one.state for one in found] == [State.OPEN, State.CLOSED]
    assert "is given up" in found[1].text


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns beyond the limit are counted, not kept."""
    monkeypatch.setattr(vanished_pattern, "PATTERNS", 2)
    detector = VanishedPatterns()
    _watch(detector, NOW, 60, 1, 2, 3, 4)

    assert detector.untracked == 2
