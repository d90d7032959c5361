"""When an incident is in the data, for whoever knows all rates: the floor of any delay.

What is unusual is measured in nats, -ln of the chance of so much or more without an
incident. Looking at thirty sources every ten seconds for a week, one false alarm comes
of LIMIT nats: below it an incident can't be told from chance.
"""

from __future__ import annotations

from math import inf, log
from typing import Final, NamedTuple

import numpy as np

from bench.incidents import (
    DAY,
    ERROR,
    REPLAY_DAYS,
    SOURCES,
    START,
    STEP,
    TIMED,
    Incident,
    Kind,
    World,
)
from pipeline.analyzer.detectors.chance import surprise

LIMIT: Final = log(SOURCES * REPLAY_DAYS * DAY / STEP)
FLOOR: Final = 30
"""Seconds of silence that are none: deployments pause for twenty."""
WINDOWS: Final = (1, 2, 3, 6, 12, 30, 60, 120, 180, 360, 720)
"""Steps that an incident is looked at in, and all since its onset."""


class Evidence(NamedTuple):
    """Seconds from the onset to the end of the step that shows it, infinite if none
    does; and how much there is at best: nats, entries, and those that are usual."""

    after: float
    nats: float = inf
    seen: float = 0.0
    usual: float = 0.0

    @property
    def carries(self) -> bool:
        """Whether the data carry the incident at all."""
        return self.after < inf


def evidence(world: World, one: Incident) -> Evidence:
    """Of one incident."""
    if one.kind is Kind.TEMPLATE:
        return Evidence(ends(one, 0))
    if one.kind is Kind.SILENCE:
        before = slice(one.first_step - 60, one.first_step)
        rate = float(world.rates[one.source, :, before].sum(axis=0).mean()) / STEP
        return Evidence(ends(one, -(-max(FLOOR, LIMIT / rate) // STEP)))
    if one.kind is Kind.LATENCY:
        return _of_durations(world, one)
    return _of_counts(world, one)


def ends(one: Incident, steps: float) -> float:
    """Seconds from the onset until that step of it is over, and counted."""
    return START + STEP * (one.first_step + 1 + steps) - one.onset


def _of_counts(world: World, one: Incident) -> Evidence:
    """By the entries that came, against a rate that varies from minute to minute."""
    steps = len(one.extra)
    here = slice(one.first_step, one.first_step + steps)
    seen = np.concatenate(([0], np.cumsum(world.counts[one.source, ERROR, here])))
    usual = np.concatenate(([0.0], np.cumsum(one.usual)))
    after, best = inf, Evidence(inf, 0.0)
    for end in range(1, steps + 1):
        for size in {*(size for size in WINDOWS if size < end), end}:
            count = float(seen[end] - seen[end - size])
            expected = float(usual[end] - usual[end - size])
            minutes = max(1.0, size * STEP / 60)
            spread = float(world.spread[one.source]) / minutes**0.5
            nats = surprise(count, expected, spread)
            if nats > best.nats:
                best = Evidence(inf, nats, count, expected)
            if nats >= LIMIT:
                after = min(after, ends(one, end - 1))
    return best._replace(after=after)


def _of_durations(world: World, one: Incident) -> Evidence:
    """By the likelihood of all durations, which are lognormal."""
    timed = one.source - (SOURCES - TIMED)
    each = (log(one.size) / float(world.sigma[timed, one.path])) ** 2 / 2
    last = (one.end - START) // STEP
    seen = np.cumsum(world.requests()[timed, one.first_step : last])
    sure = np.flatnonzero(seen * each >= LIMIT)
    after = ends(one, int(sure[0])) if len(sure) else inf
    return Evidence(after, float(seen[-1]) * each, float(seen[-1]))
