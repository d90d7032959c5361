"""A minute of a soak: everything at once, and every entry accounted for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bench.soak.account import account
from bench.soak.plot import rates
from bench.soak.soak import Plan, soak
from bench.soak.watch import Event, Lag, Sample, growth, outside
from pipeline import Level
from pipeline.entry import Entry
from tests.store.build import build_store

PLAN = Plan(
    seconds=60.0,
    rate=20_000,
    limit_mb=32,
    kill_every=8.0,
    backup_every=20.0,
    reload_every=15.0,
)


def test_every_entry_of_a_minute_is_accounted_for(tmp_path: Path) -> None:
    """Stored, deleted by retention, or refused with a reason; while others die."""
    found = soak(tmp_path, PLAN)

    assert found.account.balances, found.account.text()
    assert found.flushed
    assert found.account.produced > PLAN.seconds * PLAN.rate / 4
    did = Counter(event.what.split()[0] for event in found.events)
    assert did["kill"] >= 5
    assert did["reload"] >= 2
    assert found.answers
    assert found.lags
    assert min(found.tailed)


def test_an_entry_too_few_is_told(tmp_path: Path) -> None:
    """Whoever claims more than there is has lost it."""
    entry = Entry(1, "web", Level.INFO, "hello", None, None, None)
    build_store(tmp_path / "logs.db", [[entry] * 3, [entry] * 2])
    sources = {"web", ""}

    assert account(tmp_path / "logs.db", 5, 0, sources).balances
    assert not account(tmp_path / "logs.db", 6, 0, sources).balances
    assert account(tmp_path / "logs.db", 6, 1, sources).balances


def test_what_is_late_for_a_kill_is_apart() -> None:
    """From the kill on until ten seconds after it."""
    lags = [Lag(1.0, 0.1), Lag(19.5, 2.0), Lag(25.0, 3.0), Lag(31.0, 0.2)]
    events = [Event(20.0, "kill gateway"), Event(1.0, "reload")]

    assert outside(lags, events) == [0.1, 0.2]


def test_rates_are_of_one_ingester() -> None:
    """Its successor counts from zero."""
    taken = [0, 100, None, 50, 150]
    samples = [Sample(float(at), {}, 0, 0, count) for at, count in enumerate(taken)]

    assert rates(samples) == [(1.0, 100.0), (4.0, 100.0)]


def test_growth_is_that_of_the_last_two_thirds() -> None:
    """The first third is the start."""
    sizes = [*range(10), *[20] * 10, *[30] * 10]
    samples = [
        Sample(float(at), {"up": size * 1_000_000}, 0, 0, None)
        for at, size in enumerate(sizes)
    ]

    assert growth(samples, "up") == (20.0, 30.0)
