"""The labelled week: what it says of itself is so."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from bench.detection import WINDOW, sliding
from bench.evidence import LIMIT, evidence
from bench.incidents import COUNTS, ERROR, START, STEP, Kind, World


@pytest.fixture(scope="module")
def world() -> World:
    return World(7)


def test_a_seed_is_a_world(world: World) -> None:
    """The same one each time."""
    again = World(7)

    assert (world.counts == again.counts).all()
    assert world.known == again.known


def test_sixty_incidents_apart(world: World) -> None:
    """As many of each kind as said, none near another of its source."""
    assert Counter(one.kind for one in world.incidents) == COUNTS
    assert sum(COUNTS.values()) == 60
    for one in world.incidents:
        for other in world.incidents:
            if one is not other and one.source == other.source:
                assert one.onset > other.end or other.onset > one.end


def test_incidents_are_in_the_counts(world: World) -> None:
    """A silent source has no entry, a new template has one at its onset."""
    for number, one in enumerate(world.incidents):
        if one.kind is Kind.SILENCE:
            whole = slice(one.first_step + 1, (one.end - START) // STEP)
            assert world.counts[one.source, :, whole].sum() == 0
        if one.kind is Kind.TEMPLATE:
            first = world.appearances[one.first_step]
            assert (1 << 40) + number in [other.pattern for other in first]


def test_windows_slide() -> None:
    """The oracle of the fixed threshold, beside adding up."""
    counts = np.random.default_rng(1).integers(0, 5, 200)
    steps = WINDOW // STEP

    wanted = [counts[max(0, n - steps + 1) : n + 1].sum() for n in range(200)]

    assert sliding(counts[None])[0].tolist() == wanted


def test_a_spike_is_as_large_as_said(world: World) -> None:
    """The entries that it adds are those of its factor."""
    for one in world.incidents:
        if one.kind is Kind.SPIKE:
            inside = one.extra[1:-1] / (one.usual - world.rare[one.source, ERROR])[1:-1]
            assert inside == pytest.approx(one.size - 1)


def test_evidence_is_after_the_onset_and_within_the_incident(world: World) -> None:
    """When a step of it is over; what never shows has too few nats at best."""
    for one in world.incidents:
        found = evidence(world, one)
        if found.carries:
            assert 0 < found.after <= one.end - one.onset + STEP
        else:
            assert found.nats < LIMIT


def test_what_is_large_shows_at_once(world: World) -> None:
    """A spike of thousands of times the usual shows in its first step."""
    (spike, *_) = (one for one in world.incidents if one.kind is Kind.SPIKE)
    counts = world.counts[spike.source, ERROR]
    kept = counts.copy()
    counts[spike.first_step] += 100_000
    found = evidence(world, spike)
    counts[:] = kept

    assert found.after <= STEP
    assert found.seen >= 100_000
