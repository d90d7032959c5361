"""Windows that slide, and the clock that they slide by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyzer.detectors.sliding import JUMP, SlidingCount, Ticker

STEPS = 7


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(-9, 3), st.integers(1, 5)), max_size=50
    ),
    st.integers(1, STEPS + 2),
)
def test_a_ring_agrees_with_counting(
    moves: list[tuple[int, int, int]], part: int
) -> None:
    """The whole window, its newest steps and its first, whatever comes when."""
    ring, kept, head = SlidingCount(STEPS, 0), [], 0
    for wait, offset, count in moves:
        head += wait
        ring.advance(head)
        ring.add(head + offset, count)
        if -STEPS < offset <= 0:
            kept.append((head + offset, count))
        inside = [(step, n) for step, n in kept if step > head - STEPS]

        assert ring.total == sum(n for _, n in inside)
        assert ring.last(part) == sum(n for at, n in inside if at > head - part)
        assert ring.first() == min((step for step, _ in inside), default=None)


def test_a_clock_set_back_stops_for_a_moment() -> None:
    """Time goes on from there, and nothing is taken back."""
    ticker = Ticker()
    passed = [ticker.advance(now) for now in (1000, 1010, 500, 505)]

    assert passed == [0, 10, -510, 5]
    assert (ticker.elapsed, ticker.watched, ticker.jumps) == (15, 15, 1)


def test_what_nobody_watched_is_told_apart() -> None:
    """A clock set forward, or a process that stood still."""
    ticker = Ticker()
    for now in (0, JUMP, JUMP + JUMP + 1):
        ticker.advance(now)

    assert (ticker.elapsed, ticker.watched, ticker.jumps) == (2 * JUMP + 1, JUMP, 1)
