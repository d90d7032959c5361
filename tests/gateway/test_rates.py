"""Rates: what a caller may ask at once and on average."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from pipeline.gateway.rates import Rates


def test_a_burst_and_then_the_rate():
    """Three at once, then one each half second."""
    rates = Rates(2.0, 3)
    for _ in range(3):
        assert rates.wait("a", 10.0) == 0
        rates.spend("a", 1, 10.0)

    assert rates.wait("a", 10.0) == 0.5
    assert rates.wait("a", 10.5) == 0
    assert rates.wait("b", 10.0) == 0


def test_what_costs_more_than_is_left_is_paid_later():
    """A batch is never cut; whoever sent it waits longer."""
    rates = Rates(10.0, 5)
    rates.spend("a", 25, 0.0)

    assert rates.wait("a", 0.0) == 2.1


def test_no_rate_is_no_bound():
    """Also when the rate is taken away later."""
    rates = Rates(1.0, 1)
    rates.spend("a", 100, 0.0)
    rates.change(0.0, 1)
    rates.spend("a", 100, 0.0)

    assert rates.wait("a", 0.0) == 0
    assert len(rates) == 0


def test_callers_beyond_the_bound_are_forgotten():
    """The one that asked least lately."""
    rates = Rates(1.0, 1, callers=2)
    for caller in ("first", "second", "first", "third"):
        rates.spend(caller, 5, 0.0)

    assert len(rates) == 2
    assert rates.wait("first", 0.0) == 10.0
    assert rates.wait("second", 0.0) == 0


def test_a_full_bucket_is_not_kept():
    """Addresses that came once don't stay, however many there were."""
    rates = Rates(1.0, 5)
    for number in range(1_000):
        rates.spend(f"address {number}", 1, number / 100)

    assert len(rates) <= 101
    assert rates.wait("address 999", 10.0) == 0


@given(
    some.floats(0.1, 1000),
    some.integers(1, 50),
    some.lists(some.floats(0, 5), max_size=99),
)
def test_never_more_than_burst_and_rate(per_second, burst, pauses):
    """Of one call each, over any time."""
    rates = Rates(per_second, burst)
    now, taken = 0.0, 0
    for pause in pauses:
        now += pause
        if rates.wait("a", now) == 0:
            rates.spend("a", 1, now)
            taken += 1

    assert taken <= burst + per_second * now + 1e-6
