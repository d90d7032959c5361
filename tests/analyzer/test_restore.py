"""What the analyzer asks at its start, and what detectors are told of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.analyzer.detectors.fixed_spike import FixedSpikes
from pipeline.analyzer.findings import (
    Counts,
    Detector,
    DurationRow,
    Event,
    Finding,
    State,
)
from pipeline.analyzer.restore import DAY, FINE, MINUTE, SLOT, Ask, Restored, restore

NOW = 1_795_341_600 + 1_234
LAST = ["aggregate", "counts"]


class Learner:
    """A detector that keeps what it is told."""

    name = "learner"

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def restore(self, rows: Counts, now: int, width: int) -> None:
        self.told.append(("counts", list(rows), width))

    def restore_events(self, events: Sequence[Event], now: int) -> None:
        self.told.append(("events", [one.template for one in events]))

    def restore_durations(self, rows: Iterable[DurationRow], now: int) -> None:
        self.told.append(("durations", list(rows)))

    def observe_counts(self, counts: Counts, now: int) -> None:
        self.told.append(("now", list(counts), now))

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Not told of any."""

    def evaluate(self, now: int) -> list[Finding]:
        return []


def _counts(*rows: Sequence[int]) -> dict[str, Any]:
    return {"commit": 9, "sources": ["api", "audit"], "rows": rows}


def _run(
    detectors: list[Detector], answers: list[Any], window: int = 300
) -> tuple[list[Ask], Restored]:
    """All questions, answered in their order (None: not)."""
    steps = restore(detectors, NOW, window, 60.0)
    asked = [next(steps)]
    for answer in answers:
        body = None if answer is None else json.dumps(answer).encode()
        try:
            asked.append(steps.send(body))
        except StopIteration as end:
            return asked, end.value
    raise AssertionError(f"it goes on to ask {asked[-1]}")


def test_questions_come_in_their_order() -> None:
    """A week by half hours, some hours by minutes, then the current window."""
    asked, _ = _run([Learner()], [None] * 7)
    methods = [one.method for one in asked]
    spans = [one.params for one in asked if "until" in one.params]

    assert methods == ["get_alerts", *["counts"] * 2, *["events"] * 2, *LAST]
    assert [one["step"] for one in spans] == [SLOT, MINUTE]
    assert spans[0]["until"] == spans[1]["since"]
    assert spans[0]["until"] - spans[0]["since"] == 7 * DAY
    assert FINE <= spans[1]["until"] - spans[1]["since"] <= FINE + SLOT
    assert asked[-1].params == {"since": NOW - 301, "step": 1}


def test_detectors_that_learn_nothing_cost_no_question() -> None:
    """Only alerts and the window are asked for."""
    asked, _ = _run([FixedSpikes(20, 300)], [None] * 2)

    assert [one.method for one in asked] == ["get_alerts", "counts"]


def test_detectors_are_told() -> None:
    """Without the sources that the pipeline writes itself."""
    learner = Learner()
    group = [NOW - 50, "api", 17, 5, "failed", 3]
    events = {"commit": 9, "groups": [group], "truncated": False}
    rows = _counts([NOW - 9, 0, 17, 2], [NOW - 9, 1, 9, 1], [NOW - 4, 0, 17, 1])
    durations = {"table": {"rows": [["api", None, 3, 5, 9.5], ["audit", "", 1, 1, 1]]}}
    quarters = [{"table": {"rows": []}}] * 4
    _run([learner], [None, rows, rows, events, durations, *quarters, rows])
    api = [(NOW - 9, "api", 17, 2), (NOW - 4, "api", 17, 1)]

    assert learner.told == [
        ("counts", api, SLOT),
        ("counts", api, MINUTE),
        ("events", ["failed"]),
        ("durations", [("api", "", 3, 5, 9.5)]),
        ("now", api[:1], NOW - 9),
        ("now", api[1:], NOW - 4),
    ]


def test_a_detector_that_fails_keeps_no_other_from_learning() -> None:
    """It is told no more, and named."""

    class Broken(Learner):
        def restore(self, rows: Counts, now: int, width: int) -> None:
            raise KeyError("x")

    broken, learner = Broken(), Learner()
    rows = _counts([NOW - 9, 0, 17, 2])
    _, found = _run([broken, learner], [None, rows, rows, *[None] * 3, rows])

    assert found.broken == {id(broken): "KeyError: 'x'"}
    assert broken.told == []
    assert len(learner.told) == 3


def test_durations_of_a_day_are_asked_for() -> None:
    """The last hour, and a quarter of an hour for one of each six before it."""
    learner = Learner()
    told = [{"table": {"rows": [["api", "/a", n, 5.0, 9.5]]}} for n in (9, 1, 2)]
    asked, found = _run([learner], [*[None] * 5, *told, None, _counts()])
    spans = [one.params for one in asked if one.method == "aggregate"]

    assert ["until" in one for one in spans] == [False, True, True, True]
    assert learner.told == [
        ("durations", [("api", "/a", n, 5.0, 9.5) for n in (9, 4, 8)])
    ]
    assert found.failed[-1] == "aggregate"


def test_the_window_is_replayed_as_it_went() -> None:
    """A spike that is open now was found at its time; the commit is the snapshot's."""
    rows = _counts([NOW - 60, 0, 17, 15], [NOW - 30, 0, 17, 9])
    _, found = _run([FixedSpikes(20, 300)], [None, rows])

    assert found.commit == 9
    assert [(one.state, one.at, one.value) for one in found.findings] == [
        (State.OPEN, NOW - 30, 24)
    ]


def test_a_long_window_is_replayed_in_steps() -> None:
    """As the detector slides: 300 for a window."""
    asked, _ = _run([FixedSpikes(20, 3_600)], [None] * 2, window=3_600)

    assert asked[-1].params["step"] == 12


def test_without_answers_nothing_is_known() -> None:
    """Each question that failed is named."""
    _, found = _run([Learner()], [None] * 7)

    assert found.commit is None
    assert found.failed == ["get_alerts", "counts", "counts", "events", *LAST]
