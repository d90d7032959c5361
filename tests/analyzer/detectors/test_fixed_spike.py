"""When a spike's alert opens, stays and closes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyzer.detectors.fixed_spike import BUCKETS, SOURCES, FixedSpikes
from pipeline.analyzer.findings import EVERYWHERE, Finding, State
from pipeline.entry import Level

NOW = 1_795_341_600
ERROR, FATAL, WARN = int(Level.ERROR), int(Level.FATAL), int(Level.WARN)


def _detector() -> FixedSpikes:
    return FixedSpikes(threshold=20, window=300)


def _opened(source: str, count: int = 20) -> tuple[str, State, float]:
    return source, State.OPEN, count


def _closed(source: str, count: int) -> tuple[str, State, float]:
    return source, State.CLOSED, count


def _told(findings: list[Finding]) -> list[tuple[str, State, float]]:
    return [(one.source, one.state, one.value) for one in findings]


def test_the_threshold_opens_one_alert() -> None:
    """19 errors are none, the 20th is one, and more are the same one."""
    detector = _detector()

    detector.observe_counts([[NOW, "api", ERROR, 19]], NOW)
    assert _told(detector.evaluate(NOW)) == []
    detector.observe_counts([[NOW, "api", FATAL, 1]], NOW)
    assert _told(detector.evaluate(NOW)) == [_opened("api")]
    detector.observe_counts([[NOW, "api", ERROR, 19]], NOW + 1)
    assert _told(detector.evaluate(NOW + 1)) == []


def test_errors_over_the_window_add_up() -> None:
    """One error every 15 seconds is 20 in 300."""
    detector = _detector()
    findings = []
    for number in range(20):
        moment = NOW + number * 15
        detector.observe_counts([[moment, "api", ERROR, 1]], moment)
        findings += _told(detector.evaluate(moment))

    assert findings == [_opened("api")]


def test_an_error_leaves_after_the_window() -> None:
    """After 299 seconds it counts, after 300 it doesn't, and the alert closes."""
    detector = _detector()
    detector.observe_counts(
        [[NOW, "api", ERROR, 1], [NOW + 1, "api", ERROR, 19]], NOW + 1
    )
    detector.evaluate(NOW + 1)

    assert _told(detector.evaluate(NOW + 299)) == []
    assert _told(detector.evaluate(NOW + 300)) == [_closed("api", 19)]
    assert _told(detector.evaluate(NOW + 301)) == []


def test_an_alert_opens_again() -> None:
    """A second spike is a second alert."""
    detector = _detector()
    findings = []
    for moment in (NOW, NOW + 1000):
        detector.observe_counts([[moment, "api", ERROR, 20]], moment)
        findings += _told(detector.evaluate(moment))
        findings += _told(detector.evaluate(moment + 400))

    assert findings == [_opened("api"), _closed("api", 0)] * 2


def test_all_sources_together() -> None:
    """Errors spread over sources open the common alert, and only that."""
    detector = _detector()
    detector.observe_counts([[NOW, f"s{n}", ERROR, 1] for n in range(20)], NOW)

    assert _told(detector.evaluate(NOW)) == [_opened(EVERYWHERE)]


def test_an_error_belongs_to_one_alert() -> None:
    """What has an alert of its own does not count for all sources."""
    detector = _detector()
    detector.observe_counts([[NOW, "a", ERROR, 10], [NOW, "b", ERROR, 12]], NOW)

    assert _told(detector.evaluate(NOW)) == [_opened(EVERYWHERE, 22)]
    detector.observe_counts([[NOW, "a", ERROR, 10]], NOW)
    assert _told(detector.evaluate(NOW)) == [_opened("a"), _closed(EVERYWHERE, 12)]


@pytest.mark.parametrize(
    "row",
    [
        [NOW, "api", WARN, 100],
        [NOW, "alerts", ERROR, 100],
        [NOW, "pipeline", ERROR, 100],
        [NOW, "audit", ERROR, 100],
        [NOW - 300, "api", ERROR, 100],
        [-(1 << 33), "api", ERROR, 100],
    ],
)
def test_what_does_not_count(row: list[int | str]) -> None:
    """Lower levels, the pipeline's own sources, and times before the window."""
    detector = _detector()
    detector.observe_counts([row], NOW)

    assert _told(detector.evaluate(NOW)) == []


@pytest.mark.parametrize("second", [NOW + 1, NOW + 10**6, 1 << 33])
def test_times_in_the_future_count_as_now(second: int) -> None:
    """A clock that is ahead neither hides errors nor keeps them longer."""
    detector = _detector()
    detector.observe_counts([[second, "api", ERROR, 20]], NOW)

    assert _told(detector.evaluate(NOW)) == [_opened("api")]
    assert _told(detector.evaluate(NOW + 300)) == [_closed("api", 0)]


def test_a_late_batch_falls_where_it_belongs() -> None:
    """Errors of 200 seconds ago leave the window 100 seconds from now."""
    detector = _detector()
    detector.observe_counts([[NOW - 200, "api", ERROR, 20]], NOW)

    assert _told(detector.evaluate(NOW + 99)) == [_opened("api")]
    assert _told(detector.evaluate(NOW + 100)) == [_closed("api", 0)]


def test_a_clock_set_back() -> None:
    """The window stands still for a moment, it does not stop for as long."""
    detector = _detector()
    detector.observe_counts([[NOW, "api", ERROR, 19]], NOW)
    detector.evaluate(NOW)
    back = NOW - 3600
    detector.observe_counts([[back, "api", ERROR, 1]], back)

    assert _told(detector.evaluate(back)) == [_opened("api")]
    assert _told(detector.evaluate(back + 300)) == [_closed("api", 0)]


def test_memory_is_bounded() -> None:
    """Sources beyond the limit count together, and that is counted."""
    detector = _detector()
    rows: list[list[int | str]] = [
        [NOW, f"s{n}", ERROR, 1] for n in range(SOURCES + 50)
    ]
    detector.observe_counts(rows, NOW)

    assert _told(detector.evaluate(NOW)) == [_opened(EVERYWHERE, SOURCES + 50)]
    assert detector.untracked == 50


def test_a_source_that_is_quiet_is_forgotten() -> None:
    """Its place is free for another."""
    detector = _detector()
    detector.observe_counts([[NOW, f"s{n}", ERROR, 1] for n in range(SOURCES)], NOW)
    detector.evaluate(NOW)
    detector.evaluate(NOW + 300)
    detector.observe_counts([[NOW + 300, "new", ERROR, 20]], NOW + 300)

    assert _told(detector.evaluate(NOW + 300)) == [_opened("new")]
    assert detector.untracked == 0


def test_a_long_window_slides_in_steps() -> None:
    """A day is 300 steps of memory; it is short by one step at most."""
    detector = FixedSpikes(threshold=20, window=86_400)
    detector.observe_counts([[NOW, "api", ERROR, 20]], NOW)

    assert len(detector.evaluate(NOW)) == 1
    assert _told(detector.evaluate(NOW + 86_400 - 86_400 // BUCKETS)) == []
    assert len(detector.evaluate(NOW + 86_400)) == 1


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), max_size=60))
def test_it_agrees_with_counting(steps: list[tuple[int, int]]) -> None:
    """A finding is open exactly while that many errors are within the window."""
    detector = FixedSpikes(threshold=5, window=30, thresholds={EVERYWHERE: 0})
    errors: Counter[int] = Counter()
    moment, is_open = NOW, False
    for wait, count in steps:
        moment += wait
        errors[moment] += count
        detector.observe_counts([[moment, "api", ERROR, count]], moment)
        for finding in detector.evaluate(moment):
            is_open = finding.state is State.OPEN
        recent = sum(n for at, n in errors.items() if at > moment - 30)
        assert is_open == (recent >= 5)


def test_an_open_one_is_repeated_when_it_doubles() -> None:
    """Whoever tells people can say that it got worse."""
    detector = _detector()
    told = []
    for count in (20, 19, 1, 40):
        detector.observe_counts([[NOW, "api", ERROR, count]], NOW)
        told += _told(detector.evaluate(NOW))

    assert told == [_opened("api"), _opened("api", 40), _opened("api", 80)]


def test_thresholds_of_single_sources() -> None:
    """A loud source has its own, 0 is none, and neither counts for all sources."""
    detector = FixedSpikes(20, 300, {"loud": 100, "off": 0, EVERYWHERE: 30})
    rows = {"loud": 99, "off": 500, "a": 15, "b": 14}.items()
    detector.observe_counts([[NOW, s, ERROR, n] for s, n in rows], NOW)

    assert detector.evaluate(NOW) == []
    detector.observe_counts([[NOW, s, ERROR, 1] for s in ("loud", "a")], NOW)
    assert _told(detector.evaluate(NOW)) == [
        _opened("loud", 100),
        _opened(EVERYWHERE, 30),
    ]


def test_other_thresholds_hold_at_once() -> None:
    """What is in the window is judged anew, nothing is forgotten."""
    detector = _detector()
    detector.observe_counts([[NOW, "api", ERROR, 10]], NOW)
    detector.evaluate(NOW)
    detector.configure(10, {EVERYWHERE: 0})

    assert _told(detector.evaluate(NOW)) == [_opened("api", 10)]
    detector.configure(11, {EVERYWHERE: 0})
    assert _told(detector.evaluate(NOW)) == [_closed("api", 10)]


def test_a_finding_has_numbers_and_a_query() -> None:
    """It says since when, in one line how much of what, and how to see it."""
    detector = _detector()
    detector.observe_counts([[NOW - 60, 'a"b', ERROR, 20]], NOW)
    found = detector.evaluate(NOW)[0]

    assert found.text == 'error spike: 20 errors of a"b in 300 s (threshold 20)'
    assert (found.since, found.at, found.window) == (NOW - 60, NOW, 300)
    assert (found.value, found.threshold, found.baseline) == (20, 20, None)
    assert found.query == r'source:"a\"b" level:>=ERROR'
