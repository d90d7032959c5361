"""What was never there before, and how often that is said."""

from __future__ import annotations

import pytest

from pipeline.analyzer.detectors import new_pattern
from pipeline.analyzer.detectors.new_pattern import BUDGET, HOLD, NewPatterns
from pipeline.analyzer.findings import Event, Finding, State
from pipeline.entry import Level

NOW = 1_795_305_600
ERROR, WARN, INFO = int(Level.ERROR), int(Level.WARN), int(Level.INFO)


def _event(
    pattern: int, source: str = "api", level: int = ERROR, count: int = 1
) -> Event:
    template = f"disk <*> broke in way {'x' * pattern}"
    return Event(NOW, source, level, pattern, template, count)


def _knowing(*patterns: int) -> NewPatterns:
    """A detector of a store that is a day old."""
    detector = NewPatterns()
    known = [Event(NOW - 86_400, "old", WARN, one, "", 1) for one in (99, *patterns)]
    detector.restore_events(known, NOW)
    return detector


def _see(detector: NewPatterns, *events: Event, now: int = NOW) -> list[Finding]:
    detector.observe_events(events, now)
    return detector.evaluate(now)


def test_what_is_new_is_told_once() -> None:
    """With its shape and a query that shows it; what is known is not."""
    detector = _knowing(1)

    assert _see(detector, _event(1)) == []
    (found,) = _see(detector, _event(2))
    assert _see(detector, _event(2)) == []

    assert (found.source, found.state, found.value) == ("api", State.OPEN, 1)
    assert found.key == "0000000000000002"
    assert found.text == "new ERROR pattern of api, once: disk <*> broke in way xx"
    assert found.query == (
        'source:"api" level:>=WARN message:/^disk [\\w[:^ascii:]]+ broke in way xx$/'
    )


def test_it_is_over_when_it_no_longer_comes() -> None:
    """And then it is known."""
    detector = _knowing()
    _see(detector, _event(2))
    _see(detector, _event(2), now=NOW + HOLD - 1)

    assert _see(detector, now=NOW + HOLD) == []
    (over,) = _see(detector, now=NOW + 2 * HOLD)
    assert (over.state, over.value) == (State.CLOSED, 2)
    assert _see(detector, _event(2), now=NOW + 3 * HOLD) == []


def test_a_pattern_that_grows_is_repeated() -> None:
    """At four times what was told."""
    detector = _knowing()
    _see(detector, _event(2))

    assert _see(detector, _event(2, count=2)) == []
    assert [one.value for one in _see(detector, _event(2))] == [4]


@pytest.mark.parametrize(
    "event",
    [_event(5, level=INFO), _event(0), _event(5, source="alerts")],
    ids=["a low level", "no structure", "the pipeline itself"],
)
def test_what_is_not_watched(event: Event) -> None:
    """Levels below WARN, messages without a template, and our own sources."""
    assert _see(_knowing(), event) == []


def test_a_young_store_is_learnt_from() -> None:
    """In its first hour everything is new, and nothing is said of it."""
    detector = NewPatterns(learning=3_600)
    assert _see(detector, _event(1)) == []
    assert _see(detector, _event(2), now=NOW + 3_599) == []

    assert _see(detector, _event(1), _event(2), now=NOW + 3_600) == []
    assert len(_see(detector, _event(3), now=NOW + 3_600)) == 1


def test_a_minimum_is_waited_for() -> None:
    """A pattern that came once may be anything."""
    detector = _knowing()
    detector.configure(learning=0, minimum=3, level=WARN)

    assert _see(detector, _event(2, count=2)) == []
    assert [one.value for one in _see(detector, _event(2))] == [3]


def test_a_source_without_stable_shapes_is_told_of_once() -> None:
    """Beyond the budget one finding stands for all."""
    detector = _knowing()
    found = _see(detector, *(_event(n) for n in range(1, BUDGET + 4)))

    assert len(found) == BUDGET + 1
    assert found[-1].key == "many"
    assert found[-1].query == 'source:"api" level:>=WARN'
    over = _see(detector, now=NOW + HOLD)
    assert {one.key for one in over} == {one.key for one in found}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no more ids fit, what is new can't be told, and that is counted."""
    monkeypatch.setattr(new_pattern, "KNOWN", 3)
    detector = _knowing(1, 2, 3)

    assert detector.untracked == 1
    assert _see(detector, _event(50, count=7)) == []
    assert detector.untracked == 8
