"""When a source is unusual by its own measure."""

from __future__ import annotations

import random

import pytest

from pipeline.analyzer.detectors import adaptive_spike
from pipeline.analyzer.detectors.adaptive_spike import ACCEPT, AdaptiveSpikes
from pipeline.analyzer.findings import Finding, State
from pipeline.entry import Level

NOW = 1_795_305_600
HOUR = 3_600
ERROR, WARN = int(Level.ERROR), int(Level.WARN)


class Service:
    """A detector that hears one source, ten seconds at a time."""

    def __init__(self, detector: AdaptiveSpikes, rate: float) -> None:
        self.detector = detector
        self.now = NOW
        self._rate = rate
        self._chance = random.Random(4)

    def run(
        self, seconds: int, times: float = 1.0, level: int = ERROR
    ) -> list[Finding]:
        """So many seconds at so many times its rate; what was found."""
        found = []
        for _ in range(seconds // 10):
            self.now += 10
            count = self._poisson(self._rate * times * 10)
            rows: list[list[int | str]] = [[self.now - 1, "api", int(Level.INFO), 50]]
            if count:
                rows.append([self.now - 1, "api", level, count])
            self.detector.observe_counts(rows, self.now)
            found += self.detector.evaluate(self.now)
        return found

    def _poisson(self, mean: float) -> int:
        total, count = self._chance.expovariate(1), 0
        while total < mean:
            total += self._chance.expovariate(1)
            count += 1
        return count


def test_ten_times_the_usual_is_found_at_once() -> None:
    """Once, with the numbers, and it is over when the usual is back."""
    service = Service(AdaptiveSpikes(), 2.0)
    assert service.run(3 * HOUR) == []

    opened = service.run(60, 10)
    (closed,) = service.run(HOUR)

    assert [one.state for one in opened] == [State.OPEN] * len(opened)
    first = opened[0]
    assert first.at - service.now + HOUR + 60 == 10
    assert first.baseline == pytest.approx(20, rel=0.3)
    assert first.query == 'source:"api" level:ERROR'
    assert f"{first.value} ERROR of api in 10 s, usual at this time:" in first.text
    assert closed.state is State.CLOSED
    assert closed.text.startswith("back to usual: ")


def test_a_long_window_does_not_tell_a_spike_again() -> None:
    """Half an hour still holds what was over five minutes after its end."""
    service = Service(AdaptiveSpikes(), 2.0)
    service.run(3 * HOUR)
    found = service.run(300, 20) + service.run(2 * HOUR)

    assert [one.state for one in found] == [State.OPEN, State.CLOSED]


def test_a_slow_burn_is_found() -> None:
    """Four times the usual of a source with an error a minute."""
    service = Service(AdaptiveSpikes(), 0.02)
    assert service.run(4 * HOUR) == []

    assert service.run(HOUR, 4)[0].window >= 180


def test_a_loud_source_is_usual() -> None:
    """Thousands of errors are none when there always are."""
    service = Service(AdaptiveSpikes(), 30.0)

    assert service.run(6 * HOUR) == []


def test_few_entries_are_no_spike() -> None:
    """Below the minimum nothing is said, however unusual."""
    service = Service(AdaptiveSpikes(minimum=10), 0.0)
    service.run(3 * HOUR)
    service.detector.observe_counts([[service.now, "api", ERROR, 9]], service.now)
    assert service.detector.evaluate(service.now) == []

    service.detector.observe_counts([[service.now, "api", ERROR, 1]], service.now)
    assert len(service.detector.evaluate(service.now)) == 1


def test_a_new_source_is_not_judged() -> None:
    """For an hour nobody knows what is usual."""
    service = Service(AdaptiveSpikes(), 1.0)
    service.run(600)

    assert service.run(600, 20) == []


def test_a_minute_of_warnings_is_no_finding() -> None:
    """Every start of a service makes some; five minutes are."""
    service = Service(AdaptiveSpikes(), 2.0)
    service.run(3 * HOUR, level=WARN)

    assert service.run(60, 4, level=WARN) == []
    assert service.run(300, 6, level=WARN)[0].window == 300


def test_a_night_is_not_held_against_a_day() -> None:
    """History tells what is usual at each time, from rows of half hours or minutes."""
    detector = AdaptiveSpikes()
    rows: list[list[int | str]] = [
        [NOW - day * 86_400 + slot * 1800, "api", ERROR, 18_000 if slot < 24 else 90]
        for day in (3, 2, 1)
        for slot in range(48)
    ]
    detector.restore(rows, NOW + 6 * HOUR, 1800)
    at_noon = NOW + 6 * HOUR
    detector.observe_counts([[at_noon, "api", ERROR, 100]], at_noon)
    assert detector.evaluate(at_noon) == []

    at_night = AdaptiveSpikes()
    at_night.restore(rows, NOW + 18 * HOUR, 1800)
    at_night.observe_counts([[NOW + 18 * HOUR, "api", ERROR, 100]], NOW + 18 * HOUR)
    assert len(at_night.evaluate(NOW + 18 * HOUR)) == 1


def test_what_lasts_becomes_usual() -> None:
    """After six hours the finding is over, and says why."""
    service = Service(AdaptiveSpikes(), 1.0)
    service.run(3 * HOUR)
    found = service.run(ACCEPT + 600, 5)

    assert found[-1].state is State.CLOSED
    assert found[-1].text.startswith("taken as usual from now on: ")
    assert service.run(2 * HOUR, 5) == []


def test_who_cries_often_is_believed_less() -> None:
    """The same burst each hour is told of ever less."""
    service = Service(AdaptiveSpikes(), 1.0)
    service.run(3 * HOUR)
    told = []
    for _ in range(12):
        service.run(3_540)
        told.append(any(one.state is State.OPEN for one in service.run(60, 4)))

    assert told[0]
    assert sum(told[6:]) < sum(told[:6])


def test_a_clock_that_jumps_learns_nothing() -> None:
    """Neither way does it make a finding, and the baseline stays."""
    service = Service(AdaptiveSpikes(), 2.0)
    service.run(3 * HOUR)
    service.now += 86_400
    assert service.run(HOUR) == []
    service.now -= 2 * 86_400
    assert service.run(HOUR) == []

    assert len(service.run(20, 10)) >= 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Series beyond the limit are counted, not kept."""
    monkeypatch.setattr(adaptive_spike, "SERIES", 3)
    detector = AdaptiveSpikes()
    detector.observe_counts([[NOW, f"s{n}", ERROR, 2] for n in range(5)], NOW)

    assert detector.untracked == 4


def test_the_pipelines_own_sources_are_left_out() -> None:
    """What an alert writes must not keep it open."""
    detector = AdaptiveSpikes()
    rows: list[list[int | str]] = [
        [NOW - hour * HOUR, "alerts", ERROR, 1] for hour in range(48, 0, -1)
    ]
    detector.restore(rows, NOW, 60)
    detector.observe_counts([[NOW, "alerts", ERROR, 10_000]], NOW)

    assert detector.evaluate(NOW) == []


def _hear(detector: AdaptiveSpikes, now: int, info: int, errors: int) -> list[Finding]:
    rows: list[list[int | str]] = [
        [now - 1, "api", int(Level.INFO), info],
        [now - 1, "api", ERROR, errors],
    ]
    detector.observe_counts(rows, now)
    return detector.evaluate(now)


@pytest.mark.parametrize(("info", "found"), [(100, True), (400, False)])
def test_more_of_everything_is_no_spike(info: int, found: bool) -> None:
    """A rush brings errors too; four times the errors of usual traffic are one."""
    detector = AdaptiveSpikes()
    for now in range(NOW, NOW + 3 * HOUR, 10):
        assert _hear(detector, now, 100, 20) == []

    told = [_hear(detector, NOW + 3 * HOUR + n, info, 80) for n in range(0, 60, 10)]
    assert any(told) == found


def test_a_long_spike_makes_nobody_less_credible() -> None:
    """Only what is over within a moment does: the next one is found as soon."""
    service = Service(AdaptiveSpikes(), 1.0)
    service.run(3 * HOUR)
    told = []
    for _ in range(6):
        service.run(3_000)
        told.append(any(one.state is State.OPEN for one in service.run(600, 4)))

    assert all(told)


def test_a_burn_of_hours_is_not_its_own_measure() -> None:
    """What it taught of this morning does not count before the afternoon."""
    service = Service(AdaptiveSpikes(), 0.02)
    service.run(26 * HOUR)
    usual = service.run(600, 1.9) or service.run(2 * HOUR, 1.9)
    assert usual == []

    (found, *_) = service.run(HOUR, 5)
    assert found.baseline is not None
    assert found.baseline <= 1.5 * 0.02 * found.window + 1


def test_a_rate_that_varied_is_known_from_the_past() -> None:
    """By minutes: a source with bursts has to be more unusual than an even one."""
    found = {}
    for name, bursts in (("even", (60, 60)), ("uneven", (5, 115))):
        detector = AdaptiveSpikes()
        rows: list[list[int | str]] = [
            [NOW + 60 * minute, name, ERROR, bursts[minute % 2]]
            for minute in range(6 * 60)
        ]
        now = NOW + 6 * HOUR
        detector.restore(rows, now, 60)
        detector.observe_counts([[now, name, ERROR, 60]], now)
        found[name] = len(detector.evaluate(now))

    assert found == {"even": 1, "uneven": 0}
