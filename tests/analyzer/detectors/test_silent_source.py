"""When a source is silent for too long, by its own measure."""

from __future__ import annotations

import pytest

from pipeline.analyzer.detectors import silent_source
from pipeline.analyzer.detectors.silent_source import FORGET, SilentSources
from pipeline.analyzer.findings import Counts, Finding, State
from pipeline.entry import Level

NOW = 1_795_305_600
INFO = int(Level.INFO)
HOUR = 3_600


def _listen(
    detector: SilentSources, begin: int, seconds: int, every: dict[str, int]
) -> list[Finding]:
    """Second by second, with an entry of each source every so many; what was found."""
    found = []
    for now in range(begin, begin + seconds):
        rows: Counts = [
            [now, name, INFO, 1] for name, gap in every.items() if now % gap == 0
        ]
        detector.observe_counts(rows, now)
        found += detector.evaluate(now)
    return found


def test_a_source_that_stops_is_found() -> None:
    """Once, after the floor; and so is its return."""
    detector = SilentSources(factor=5, floor=30)
    assert _listen(detector, NOW, 2 * HOUR, {"api": 1, "web": 1}) == []
    stop = NOW + 2 * HOUR

    (gone,) = _listen(detector, stop, 600, {"web": 1})
    (back,) = _listen(detector, stop + 600, 60, {"api": 1, "web": 1})

    assert (gone.source, gone.state, gone.value) == ("api", State.OPEN, 30)
    assert (gone.since, gone.query) == (stop - 1, 'source:"api"')
    assert gone.text.startswith("api is silent for 30 s; the longest gap that is usual")
    assert (back.state, back.value) == (State.CLOSED, 601)
    assert back.text == "api is back after 601 s of silence"


def test_a_usual_gap_is_no_silence() -> None:
    """A job that logs every five minutes is silent after five times that."""
    detector = SilentSources(factor=5, floor=30)
    assert _listen(detector, NOW, 4 * HOUR, {"job": 300, "web": 1}) == []

    (gone,) = _listen(detector, NOW + 4 * HOUR + 1, 10 * HOUR, {"web": 1})
    assert gone.value >= 1500
    assert gone.baseline == 300


def test_a_source_that_was_there_for_a_moment_says_nothing() -> None:
    """Its silence is judged when it was there for an hour."""
    detector = SilentSources()
    _listen(detector, NOW, 600, {"once": 1, "web": 1})

    assert _listen(detector, NOW + 600, 2 * HOUR, {"web": 1}) == []


def test_a_set_clock_silences_nobody() -> None:
    """Hours that nobody watched are no silence; those after them count."""
    detector = SilentSources()
    _listen(detector, NOW, 2 * HOUR, {"api": 1})
    assert _listen(detector, NOW + 8 * HOUR, 20, {"web": 1}) == []
    assert _listen(detector, NOW, 5, {"web": 1}) == []

    assert [one.source for one in _listen(detector, NOW + 5, 60, {"web": 1})] == ["api"]


def test_history_tells_gaps_and_rates() -> None:
    """What has been silent since before the start is found at once."""
    detector = SilentSources()
    start = NOW - 6 * HOUR
    rows: Counts = [
        [start + 60 * minute, name, INFO, 60]
        for minute in range(360)
        for name, until in (("api", 330), ("web", 360))
        if minute < until
    ]
    detector.restore(rows, NOW, 60)
    detector.observe_counts([[NOW, "web", INFO, 1]], NOW)
    (gone,) = detector.evaluate(NOW)

    assert gone.source == "api"
    assert gone.value == 30 * 60


def test_times_without_any_entry_are_no_gap() -> None:
    """The pipeline was not there: that is nobody's silence."""
    detector = SilentSources()
    minutes = [*range(180), *range(300, 480)]
    rows: Counts = [[NOW - 28_800 + 60 * minute, "api", INFO, 60] for minute in minutes]
    detector.restore(rows, NOW, 60)
    detector.observe_counts([[NOW, "web", INFO, 1]], NOW)
    detector.evaluate(NOW)

    found = _listen(detector, NOW + 1, 60, {"web": 1})
    assert [(one.source, one.baseline) for one in found] == [("api", 1.0)]


def test_a_source_that_is_gone_is_given_up() -> None:
    """After a day its finding is over, and its place is free."""
    detector = SilentSources()
    _listen(detector, NOW, 2 * HOUR, {"api": 1})
    found = []
    for now in range(NOW + 2 * HOUR, NOW + 2 * HOUR + FORGET + 120, 60):
        detector.observe_counts([[now, "web", INFO, 1]], now)
        found += detector.evaluate(now)

    assert [one.state for one in found] == [State.OPEN, State.CLOSED]
    assert "is given up" in found[1].text


def test_old_entries_are_not_heard() -> None:
    """Whoever reads yesterday's file was not there for a day."""
    detector = SilentSources()
    rows: Counts = [[NOW - HOUR * n, "old", INFO, 1000] for n in range(24, 0, -1)]
    detector.observe_counts(rows, NOW)
    detector.observe_counts([[NOW, "old", INFO, 1]], NOW)

    assert _listen(detector, NOW + 1, 2 * HOUR, {"web": 1}) == []


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources beyond the limit are counted, not kept."""
    monkeypatch.setattr(silent_source, "SOURCES", 2)
    detector = SilentSources()
    detector.observe_counts([[NOW, f"s{n}", INFO, 3] for n in range(4)], NOW)

    assert detector.untracked == 6


def test_counts_of_ten_seconds_make_no_gap_of_ten() -> None:
    """Between two of them nobody was heard, which is no silence of anybody."""
    detector = SilentSources(factor=5, floor=30)
    found = []
    for now in range(NOW, NOW + 2 * HOUR, 10):
        rows: Counts = [[now - 1, "api", INFO, 90], [now - 1, "web", INFO, 90]]
        detector.observe_counts(rows, now)
        found += detector.evaluate(now)
    stop = NOW + 2 * HOUR
    for now in range(stop, stop + 60, 10):
        detector.observe_counts([[now - 1, "web", INFO, 90]], now)
        found += detector.evaluate(now)

    assert [(one.source, one.value) for one in found] == [("api", 31)]
