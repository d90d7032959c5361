"""How unlikely it is that chance goes so far."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.analyzer.detectors.chance import (
    seldom,
    surprise,
    surprise_of_hits,
)


def _poisson(count: int, expected: float) -> float:
    """P(X >= count), summed term by term."""
    term, below = math.exp(-expected), 0.0
    for number in range(count):
        below += term
        term *= expected / (number + 1)
    return _rest(term, lambda n: expected / n, count)


def _negative_binomial(count: int, expected: float, spread: float) -> float:
    shape = 1 / spread**2
    share = expected / (expected + shape)
    term = math.exp(shape * math.log1p(-share))
    for number in range(1, count + 1):
        term *= share * (number - 1 + shape) / number
    return _rest(term, lambda n: share * (n - 1 + shape) / n, count)


def _rest(term: float, ratio: Callable[[int], float], count: int) -> float:
    rest, number = 0.0, count
    while term > 1e-300 and number < count + 5_000:
        rest += term
        number += 1
        term *= ratio(number)
    return rest


@given(st.integers(1, 80), st.floats(0.1, 40))
def test_it_never_understates_chance(count: int, expected: float) -> None:
    """The bound is above the exact tail, and hardly: within a third when it counts."""
    assume(count > expected)
    exact = _poisson(count, expected)
    bound = math.exp(-surprise(count, expected, 0.0))

    assert bound >= exact * 0.999
    if 1e-200 < bound < 1e-3:
        assert bound <= exact * 1.34


@given(st.integers(1, 300), st.floats(0.1, 40), st.floats(0.1, 1.0))
def test_nor_where_the_rate_varies(count: int, expected: float, spread: float) -> None:
    """A negative binomial's tail, summed term by term."""
    assume(count > expected)
    exact = _negative_binomial(count, expected, spread)
    bound = math.exp(-surprise(count, expected, spread))

    assert bound >= exact * 0.999
    if 1e-200 < bound < 1e-3:
        assert bound <= exact * 2


@given(st.integers(1, 100), st.integers(1, 100), st.floats(0.001, 0.6))
def test_nor_of_hits(hits: int, misses: int, share: float) -> None:
    """A binomial's tail, summed term by term."""
    count = hits + misses
    assume(hits > share * count)
    exact = math.fsum(
        math.comb(count, n) * share**n * (1 - share) ** (count - n)
        for n in range(hits, count + 1)
    )
    bound = math.exp(-surprise_of_hits(hits, count, share))

    assert bound >= exact * 0.999
    if 1e-200 < bound < 1e-3:
        assert bound <= exact * 1.5


@given(st.floats(1, 1000), st.floats(4, 50), st.floats(0.2, 1.0))
def test_a_rate_that_varies_surprises_less(
    expected: float, times: float, spread: float
) -> None:
    """The same count is less unlikely where counts vary more anyway."""
    even = surprise(expected * times, expected, 0.0)
    uneven = surprise(expected * times, expected, spread)

    assert 0 < uneven < even


def test_what_is_as_usual_surprises_nobody() -> None:
    """Neither counts nor shares."""
    assert surprise(10, 10.0, 0.2) == surprise(3, 10.0, 0.0) == 0
    assert surprise_of_hits(1, 10, 0.1) == surprise_of_hits(0, 10, 0.0) == 0


def test_a_long_window_is_seldom_another_one() -> None:
    """As often as a scan of a Poisson process by it goes beyond a count, or more so."""
    chance = random.Random(5)
    size, limit, looks = 30, 12, 100_000
    steps = [int(chance.random() < 0.1) for _ in range(looks)]
    sums = [sum(steps[:size])]
    for place in range(size, looks):
        sums.append(sums[-1] + steps[place] - steps[place - size])
    begun = sum(a < limit <= b for a, b in pairwise(sums))

    told = looks * math.exp(-surprise(limit, 3.0, 0.0) - seldom(size, limit, 3.0))
    assert 0 < begun <= 2 * told
    assert seldom(1, 12, 3.0) == 0
