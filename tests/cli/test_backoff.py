"""When a process that died is started again."""

from __future__ import annotations

from pipeline.cli.backoff import Backoff


def test_the_wait_doubles_up_to_ten_seconds():
    """A process that has served is started again for ever."""
    backoff = Backoff(served=True)
    waits = [backoff.died(lived=1) for _ in range(10)]

    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]


def test_a_long_life_starts_the_waits_anew():
    """Thirty seconds count as health."""
    backoff = Backoff(served=True, deaths=7)

    assert backoff.died(lived=30) == 0.1


def test_what_never_served_is_given_up_at_the_fifth_death():
    """A wrong setting doesn't heal."""
    backoff = Backoff()

    assert [backoff.died(0.1) for _ in range(5)] == [0.1, 0.2, 0.4, 0.8, None]
