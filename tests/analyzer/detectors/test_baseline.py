"""What is usual at a time of day."""

from __future__ import annotations

import math

import pytest

from pipeline.analyzer.detectors.baseline import (
    DAY,
    SLOT,
    SLOTS,
    Seasonal,
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


def test_rare_entries_are_known_by_the_hours_around() -> None:
    """A slot with one entry or none tells little of a night; twelve of them do."""
    base = Seasonal()
    for slot in range(SLOTS):
        base.learn(slot, 0.0 if slot % 2 else 0.001 if slot < 24 else 0.02)
    middle = base.rate(12 * SLOT)

    assert middle == pytest.approx(0.0005, rel=2)
    assert middle < base.rate(36 * SLOT) / 4
