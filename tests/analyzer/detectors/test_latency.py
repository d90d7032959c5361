"""When requests take longer than usual."""

from __future__ import annotations

import random

import pytest

from pipeline.analyzer.detectors import latency
from pipeline.analyzer.detectors.latency import SlowPaths, shape_of
from pipeline.analyzer.findings import Event, Finding, State

NOW = 1_795_305_600
HOUR = 3_600


class Service:
    """A detector that hears one path, ten seconds at a time."""

    def __init__(self, detector: SlowPaths, requests: int = 20) -> None:
        self.detector = detector
        self.now = NOW
        self._requests = requests
        self._chance = random.Random(7)

    def run(self, seconds: int, times: float = 1.0) -> list[Finding]:
        """So many seconds in which requests take so many times as long."""
        found = []
        for _ in range(seconds // 10):
            self.now += 10
            durations = [
                times * self._chance.lognormvariate(3.0, 0.5)
                for _ in range(self._requests)
            ]
            event = Event(self.now - 5, "api", 0, 0, "", 1, "/users/7", durations)
            self.detector.observe_events([event], self.now)
            found += self.detector.evaluate(self.now)
        return found


def test_a_step_is_found_and_its_end() -> None:
    """Once, with p95 beside the usual one and a query of the slow requests."""
    service = Service(SlowPaths())
    assert service.run(4 * HOUR) == []

    (slow,) = service.run(1200, 3)
    (over,) = service.run(HOUR)

    assert (slow.source, slow.key, slow.state) == ("api", "/users/*", State.OPEN)
    assert slow.at <= service.now - HOUR - 1200 + 60
    assert slow.baseline == pytest.approx(46, rel=0.1)
    assert slow.text.startswith("api /users/*: p95 is ")
    assert "metadata.path:/^\\/users\\/[^\\/?]+(\\?.*)?$/" in slow.query
    assert "metadata.duration_ms:>" in slow.query
    assert over.state is State.CLOSED


def test_one_slow_request_is_none() -> None:
    """Nor are a few among many."""
    service = Service(SlowPaths())
    service.run(4 * HOUR)
    event = Event(service.now, "api", 0, 0, "", 3, "/users/7", [9000.0] * 3)
    service.detector.observe_events([event], service.now)

    assert service.detector.evaluate(service.now) == []


def test_a_slow_path_is_usual() -> None:
    """However slow, when it always is."""
    assert Service(SlowPaths()).run(6 * HOUR, 100) == []


def test_history_tells_what_is_usual() -> None:
    """Counts with p50 and p95 of the past; then there is no warming up."""
    detector = SlowPaths()
    detector.restore_durations([("api", "/users/1", 5000, 20.0, 46.0)], NOW)
    service = Service(detector)

    assert service.run(600) == []
    assert len(service.run(300, 3)) == 1


def test_a_new_path_is_learnt_first() -> None:
    """For half an hour nothing is said of it."""
    service = Service(SlowPaths())
    service.run(600)

    assert service.run(600, 5) == []


def test_what_lasts_becomes_usual() -> None:
    """After six hours the finding is over."""
    service = Service(SlowPaths())
    service.run(2 * HOUR)
    found = service.run(7 * HOUR, 3)

    assert [one.state for one in found] == [State.OPEN, State.CLOSED]
    assert service.run(2 * HOUR, 3) == []


def test_a_set_clock_makes_no_finding() -> None:
    """Forward or back."""
    service = Service(SlowPaths())
    service.run(2 * HOUR)
    service.now += 86_400
    assert service.run(HOUR) == []
    service.now -= 2 * 86_400

    assert service.run(HOUR) == []


def test_ids_make_no_series() -> None:
    """Segments with digits are one, what follows a ? is nothing."""
    assert shape_of("/users/42/posts/a1b?x=9") == "/users/*/posts/*"
    assert shape_of("/health") == "/health"


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Series beyond the limit are counted, not kept."""
    monkeypatch.setattr(latency, "SERIES", 2)
    detector = SlowPaths()
    events = [Event(NOW, "api", 0, 0, "", 2, f"/{p}", [1.0, 2.0]) for p in "abcd"]
    detector.observe_events(events, NOW)

    assert detector.untracked == 4


def test_a_step_of_all_is_seen_within_a_few_dozen_requests() -> None:
    """Thrice as long is in the quarter that took longest, of which there are more."""
    service = Service(SlowPaths())
    service.run(4 * HOUR)
    begun = service.now

    assert service.run(60, 3)[0].at <= begun + 30


def test_ten_seconds_are_a_pause() -> None:
    """Whatever they had to wait for, those after it did not."""
    service = Service(SlowPaths(), requests=100)
    service.run(4 * HOUR)

    assert service.run(10, 4) == []
    assert service.run(600) == []


def test_a_slow_tail_is_seen_though_most_are_as_fast_as_ever() -> None:
    """One request in eight takes ten times as long: p95 is that, the median is not."""
    detector = SlowPaths()
    service = Service(detector)
    service.run(4 * HOUR)
    found = []
    for _ in range(30):
        service.now += 10
        durations = [20.0 * (1 + n % 5 / 5) for n in range(21)] + [400.0] * 3
        event = Event(service.now - 5, "api", 0, 0, "", 1, "/users/7", durations)
        detector.observe_events([event], service.now)
        found += detector.evaluate(service.now)

    assert [one.state for one in found] == [State.OPEN]


@pytest.mark.parametrize("times", [1.2, 1.3])
def test_a_little_longer_is_no_finding(times: float) -> None:
    """A busy hour does that, of however many requests."""
    service = Service(SlowPaths(), requests=200)
    service.run(2 * HOUR)

    assert service.run(900, times) == []


def test_a_finding_is_over_though_some_are_slow_as_always() -> None:
    """Five minutes tell, not each ten seconds."""
    service = Service(SlowPaths())
    service.run(4 * HOUR)
    service.run(300, 4)
    (over,) = service.run(900)

    assert over.state is State.CLOSED
    assert over.at <= service.now - 300
