"""Percentiles of buckets beside those of the durations themselves."""

from __future__ import annotations

import math
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyzer.detectors.histogram import (
    BUCKETS,
    Histogram,
    bucket_of,
    middle_of,
)


@given(st.lists(st.floats(0.02, 1e6), min_size=1, max_size=200), st.floats(0.01, 0.99))
def test_a_percentile_is_right_to_five_percent(
    durations: list[float], share: float
) -> None:
    """Of whatever durations, beside sorting them."""
    found = Histogram()
    found.add(map(bucket_of, durations))
    place = max(0, math.ceil(share * len(durations) - 1e-6) - 1)

    assert found.percentile(share) == pytest.approx(sorted(durations)[place], rel=0.051)


@pytest.mark.parametrize("odd", [0.0, -5.0, math.nan, math.inf, 1e300])
def test_odd_durations_have_a_bucket(odd: float) -> None:
    """The first or the last one."""
    assert bucket_of(odd) in (0, BUCKETS - 1)


def test_what_fades_counts_less() -> None:
    """The new percentile is that of the newer ones."""
    found = Histogram()
    found.add([bucket_of(1000.0)] * 100)
    found.fade(0.01)
    found.add([bucket_of(10.0)] * 99)

    assert found.percentile(0.5) == pytest.approx(10, rel=0.05)
    assert found.above(bucket_of(100.0)) == pytest.approx(0.01)


def test_two_percentiles_make_a_distribution() -> None:
    """What the store tells of the past gives these percentiles back."""
    found = Histogram()
    found.add_lognormal(1000, 20.0, 90.0)

    assert found.percentile(0.5) == pytest.approx(20, rel=0.06)
    assert found.percentile(0.95) == pytest.approx(90, rel=0.06)
    assert found.total == pytest.approx(1000, rel=1e-4)


def test_nothing_has_no_percentile() -> None:
    """It is 0, and nothing lies above anything."""
    assert Histogram().percentile(0.95) == 0
    assert Histogram().above(5) == 0


def test_middles_are_within_their_buckets() -> None:
    """So that a percentile falls into the bucket that it is of."""
    assert all(bucket_of(middle_of(n)) == n for n in range(1, BUCKETS))
    assert quantiles([middle_of(1), middle_of(2)], n=2)[0] > middle_of(1)
