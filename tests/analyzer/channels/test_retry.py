"""When to try again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyzer.channels.http import _retry_after
from pipeline.analyzer.channels.retry import (
    MOST_SECONDS,
    RETRY_AFTER_MOST,
    wait_seconds,
)

CHANCES = st.floats(0, 1)


def test_waits_double_until_the_longest() -> None:
    """Without luck."""
    waits = [wait_seconds(failures, 1.0, None) for failures in range(1, 9)]

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


@given(st.integers(1, 10_000), CHANCES)
def test_the_jitter_is_half_of_the_wait(failures: int, chance: float) -> None:
    """It is never nothing, and never longer than the longest."""
    wait = wait_seconds(failures, chance, None)

    assert wait_seconds(failures, 1.0, None) / 2 <= wait <= MOST_SECONDS


@given(st.integers(1, 99), CHANCES, st.floats(0, 1e9))
def test_what_the_other_side_asks_for_is_waited(
    failures: int, chance: float, after: float
) -> None:
    """As far as it is sensible."""
    wait = wait_seconds(failures, chance, after)

    assert min(after, RETRY_AFTER_MOST) <= wait <= max(MOST_SECONDS, RETRY_AFTER_MOST)


def test_retry_after_is_seconds_or_a_date() -> None:
    """Anything else says nothing; a date that is over says now."""
    assert _retry_after("120") == 120
    assert _retry_after(" 0.65 ") == 0.65
    assert _retry_after("Fri, 31 Dec 1999 23:59:59 GMT") == 0
    later = _retry_after("Fri, 31 Dec 2100 23:59:59 GMT")
    assert later is not None
    assert later > 1e9
    for text in (None, "", "soon", "-1", "١", "nan", "1e9", "Fri, 99 Dec"):
        assert _retry_after(text) is None
