"""What is usual, and how unlikely it is that chance goes beyond it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyzer.detectors.baseline import (
    DAY,
    SLOT,
    SLOTS,
    Seasonal,
    surprise,
)


def test_nothing_is_known_at_first() -> None:
    """And then nothing is expected."""
    base = Seasonal()

    assert not base.known
    assert base.rate(0) == 0


def test_a_daily_wave_is_interpolated() -> None:
    """Within a few percent of the wave itself, with no steps between slots."""
    base = Seasonal()
    for slot in range(SLOTS):
        base.learn(slot, 10 + 5 * math.sin(2 * math.pi * (slot + 0.5) / SLOTS))

    for second in range(0, DAY, 600):
        wave = 10 + 5 * math.sin(2 * math.pi * second / DAY)
        assert base.rate(second) == pytest.approx(wave, rel=0.02)


def test_a_time_that_never_was_is_as_the_last_slots() -> None:
    """On its first day a service has no yesterday."""
    base = Seasonal()
    base.learn(0, 4.0)
    base.learn(1, 8.0)

    assert base.rate(20 * SLOT) == 6.0


def test_one_odd_day_makes_no_norm() -> None:
    """The newest day has a third of the weight, a week ago has little."""
    base = Seasonal()
    for rate in (1.0, 1.0, 1.0, 10.0):
        base.learn(5, rate)
    assert base.rate(5 * SLOT + SLOT // 2) == pytest.approx(4.0)
    for _ in range(7):
        base.learn(5, 1.0)
    assert base.rate(5 * SLOT + SLOT // 2) < 1.2


def _tail(count: int, expected: float) -> float:
    """P(X >= count) of Poisson, summed term by term."""
    term, below = math.exp(-expected), 0.0
    for number in range(count):
        below += term
        term *= expected / (number + 1)
    rest, number = 0.0, count
    while term > 1e-300 and number < count + 500:
        rest += term
        number += 1
        term *= expected / number
    return rest


@given(st.integers(1, 80), st.floats(0.1, 40))
def test_it_never_understates_chance(count: int, expected: float) -> None:
    """The bound is above the exact tail, and not far: chance is not overstated much."""
    exact = _tail(count, expected)
    bound = math.exp(-surprise(count, expected, 0.0))

    assert bound >= exact * 0.999
    if count > expected + 1:
        assert bound <= exact * 10 * math.sqrt(2 * math.pi * count)


@given(st.floats(1, 1000), st.floats(1.1, 50), st.floats(0.05, 1.0))
def test_a_rate_that_varies_surprises_less(
    expected: float, times: float, spread: float
) -> None:
    """The same count is less unlikely where counts vary more anyway."""
    even = surprise(expected * times, expected, 0.0)
    uneven = surprise(expected * times, expected, spread)

    assert 0 < uneven < even
