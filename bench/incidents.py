"""Ten days of thirty services, no two alike, with known incidents.

Everything comes from the seed, and nothing from the detectors. Rates have a daily
wave, days that differ, slow noise, bursts of minutes and chance. Deployments pause a
service or halve it, make noise for a minute, and leave it a little different; they are
no incidents. All together log about 1,000 entries a second. Three days are history,
seven are replayed, all in steps of ten seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.level import Level

STEP: Final = 10
DAY: Final = 86_400
HISTORY_DAYS: Final = 3
REPLAY_DAYS: Final = 7
STEPS: Final = (HISTORY_DAYS + REPLAY_DAYS) * DAY // STEP
START: Final = 1_795_305_600
"""Of the history, a midnight."""
REPLAY: Final = START + HISTORY_DAYS * DAY

SOURCES: Final = 30
QUIET: Final = 10
"""Of these are sources with hardly any errors."""
LEVELS: Final = (int(Level.INFO), int(Level.WARN), int(Level.ERROR))
INFO, WARN, ERROR = range(3)

RARE: Final = 30
"""Templates of a source that come once an hour to once in four days."""
RARE_HISTORY: Final = 30 * DAY
"""What a store knows of templates: they are kept as long as their entries."""

PATHS: Final = 2
SAMPLES: Final = 30
"""Durations of a path that a step has at most."""
TIMED: Final = 12
"""Sources that log durations."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Kind(StrEnum):
    """What goes wrong, and how often in the seven days."""

    SPIKE = "spike"
    BURN = "slow burn"
    SILENCE = "silence"
    TEMPLATE = "new template"
    LATENCY = "latency step"


COUNTS: Final = {
    Kind.SPIKE: 20,
    Kind.BURN: 8,
    Kind.SILENCE: 10,
    Kind.TEMPLATE: 12,
    Kind.LATENCY: 10,
}


@dataclass(slots=True)
class Incident:
    """One; times are seconds since the epoch, `size` a factor or entries an hour."""

    kind: Kind
    source: int
    onset: int
    end: int
    size: float
    path: int = 0
    level: int = ERROR
    extra: Floats = field(default_factory=lambda: np.zeros(0))
    """Entries that a spike, a burn or a template adds on average, step by step."""
    usual: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def first_step(self) -> int:
        return (self.onset - START) // STEP


class Appearance(NamedTuple):
    """Entries of one template."""

    source: int
    level: int
    pattern: int
    entries: int


def shares(onset: int, end: int) -> tuple[slice, Floats]:
    """The steps of an interval, and how much of each is in it."""
    first, last = (onset - START) // STEP, -((START - end) // STEP)
    begins = START + STEP * np.arange(first, last)
    inside = np.minimum(begins + STEP, end) - np.maximum(begins, onset)
    return slice(first, last), inside / STEP


class World:
    """All of it: `counts[source, level, step]`, incidents, templates, durations."""

    def __init__(self, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        self.names = [f"service-{number:02d}" for number in range(SOURCES)]
        self.spread = np.zeros(SOURCES)
        """How far the rate of a source's errors varies from minute to minute."""
        self.rates = np.zeros((SOURCES, len(LEVELS), STEPS))
        for source in range(SOURCES):
            self.rates[source] = self._usual(source)
        self.slowness = self._slowness()
        self.sigma = self._draw.uniform(0.4, 0.8, (TIMED, PATHS))
        """Of the logarithm of each path's durations."""
        self.deployments = 0
        for source in range(SOURCES):
            self._deploy(source)
        self.incidents = self._plan()
        self.appearances: dict[int, list[Appearance]] = {}
        self.known = self._rare_templates()
        for number, incident in enumerate(self.incidents):
            self._inject(number, incident)
        self.counts = self._draw.poisson(self.rates)
        self._add_templates()

    def _usual(self, source: int) -> Floats:
        """Entries of each level in each step, before chance."""
        draw = self._draw
        seconds = STEP * np.arange(STEPS)
        total = np.exp(draw.uniform(np.log(1), np.log(150)))
        wave = draw.uniform(0.3, 0.7) * np.sin(
            2 * np.pi * (seconds / DAY - draw.uniform(0.2, 0.5))
        )
        days = np.exp(draw.normal(0, 0.08, HISTORY_DAYS + REPLAY_DAYS + 1))
        each_day = np.interp(seconds / DAY, np.arange(len(days)), days)
        slow = np.exp(self._drift(draw.uniform(0.05, 0.15), 600))
        load = total * (1 + wave) * each_day * slow * STEP
        warn = draw.uniform(0.01, 0.08)
        self.spread[source] = draw.uniform(0.1, 0.3)
        bursts = self._gamma(self.spread[source], 60)
        if source < QUIET:
            error = draw.uniform(0.002, 0.01) * STEP * (1 + wave) * bursts
        else:
            error = load * draw.uniform(0.005, 0.06) * bursts
        fast = self._gamma(0.1, STEP)
        return np.array([load * fast, load * warn * self._gamma(0.15, 60), error])

    def _drift(self, deviation: float, seconds: int) -> Floats:
        """Gaussian noise that forgets itself within so many seconds."""
        keep = np.exp(-60 / seconds)
        steps = self._draw.normal(0, deviation * np.sqrt(1 - keep**2), STEPS // 6)
        value, values = 0.0, np.empty(STEPS // 6)
        for place, step in enumerate(steps):
            value = keep * value + step
            values[place] = value
        return np.repeat(values, 6)

    def _gamma(self, spread: float, seconds: int) -> Floats:
        """Factors of mean 1, each for so many seconds."""
        shape = 1 / spread**2
        times = seconds // STEP
        return np.repeat(self._draw.gamma(shape, 1 / shape, STEPS // times), times)

    def _slowness(self) -> Floats:
        """Factor of each timed source's durations: load, drift, and odd steps."""
        found = np.empty((TIMED, STEPS))
        for number in range(TIMED):
            load = self.rates[SOURCES - TIMED + number, INFO]
            wave = (load / load.mean()) ** 0.2
            found[number] = wave * np.exp(self._drift(0.05, 600))
            pauses = self._draw.random(STEPS) < STEP / 7_200
            found[number, pauses] *= 1.5
        return found

    def _deploy(self, source: int) -> None:
        """Some in ten days, at any time."""
        draw = self._draw
        paused = draw.random() < 0.5
        for _ in range(draw.poisson(4)):
            self.deployments += 1
            at = START + int(draw.integers(0, STEPS * STEP - 600))
            where, share = shares(
                at, at + int(draw.integers(*((5, 20), (30, 60))[not paused]))
            )
            self.rates[source, :, where] *= 1 - share * (1.0 if paused else 0.5)
            after = slice(where.stop, where.stop + 6)
            noise = (2.0, draw.uniform(2, 3), draw.uniform(1, 2))
            self.rates[source, :, after] *= np.array(noise)[:, None]
            self.rates[source, :, where.stop :] *= np.exp(draw.normal(0, 0.1))
            timed = source - (SOURCES - TIMED)
            if timed >= 0:
                self.slowness[timed, after] *= 1.3

    def _plan(self) -> list[Incident]:
        """Sixty, none within two hours of another of its source."""
        found: list[Incident] = []
        for kind, many in COUNTS.items():
            while many:
                one = self._incident(kind)
                near = (
                    other.source == one.source
                    and one.onset < other.end + 7_200
                    and other.onset < one.end + 7_200
                    for other in found
                )
                if not any(near):
                    found.append(one)
                    many -= 1
        return sorted(found, key=lambda one: one.onset)

    def _incident(self, kind: Kind) -> Incident:
        draw = self._draw
        source = int(draw.integers(SOURCES))
        minutes, size, path, level = 0.0, 0.0, 0, ERROR
        if kind is Kind.SPIKE:
            minutes, size = draw.uniform(5, 30), np.exp(draw.uniform(*np.log((3, 20))))
        elif kind is Kind.BURN:
            minutes, size = draw.uniform(60, 180), draw.uniform(3, 10)
        elif kind is Kind.SILENCE:
            minutes = draw.uniform(5, 60)
        elif kind is Kind.TEMPLATE:
            minutes, size = draw.uniform(5, 60), draw.uniform(3, 300)
            level = int(draw.choice((WARN, ERROR)))
        else:
            minutes, size = draw.uniform(10, 40), np.exp(draw.uniform(*np.log((2, 6))))
            source = SOURCES - TIMED + int(draw.integers(TIMED))
            path = int(draw.integers(PATHS))
        length = int(60 * minutes)
        onset = REPLAY + int(draw.integers(3_600, REPLAY_DAYS * DAY - length - 3_600))
        return Incident(kind, source, onset, onset + length, float(size), path, level)

    def _inject(self, number: int, one: Incident) -> None:
        where, share = shares(one.onset, one.end)
        if one.kind in (Kind.SPIKE, Kind.BURN):
            ramp = np.ones(len(share))
            if one.kind is Kind.BURN:
                ramp = np.minimum(1, np.linspace(0, 2, len(share)))
            usual = self.rates[one.source, ERROR, where]
            one.extra = usual * (one.size - 1) * share * ramp
            one.usual = usual + self.rare[one.source, ERROR]
            self.rates[one.source, ERROR, where] += one.extra
        elif one.kind is Kind.SILENCE:
            self.rates[one.source, :, where] *= 1 - share
        elif one.kind is Kind.TEMPLATE:
            self._new_template(number, one)

    def _new_template(self, number: int, one: Incident) -> None:
        """Its first entry is at the onset, the others come by chance."""
        hours = (one.end - one.onset) / 3_600
        times = self._draw.uniform(
            one.onset, one.end, self._draw.poisson(one.size * hours)
        )
        for second in (one.onset, *times):
            step = (int(second) - START) // STEP
            self._appear(step, Appearance(one.source, one.level, (1 << 40) + number, 1))

    def _appear(self, step: int, what: Appearance) -> None:
        self.appearances.setdefault(step, []).append(what)

    def _rare_templates(self) -> set[int]:
        """What comes seldom; those that a store of thirty days knows by the replay."""
        known = set()
        self.rare = np.zeros((SOURCES, len(LEVELS)))
        """Entries a step that the rare templates add on average."""
        for source in range(SOURCES):
            for number in range(RARE):
                pattern = 1 + source * RARE + number
                every = np.exp(self._draw.uniform(np.log(3_600), np.log(4 * DAY)))
                before = self._draw.poisson((RARE_HISTORY - HISTORY_DAYS * DAY) / every)
                times = self._draw.uniform(
                    0, STEPS, self._draw.poisson(STEPS * STEP / every)
                )
                level = int(self._draw.choice((WARN, ERROR)))
                self.rare[source, level] += STEP / every
                for step in times.astype(int).tolist():
                    self._appear(step, Appearance(source, level, pattern, 1))
                first = times.min(initial=STEPS) * STEP
                if before or first < HISTORY_DAYS * DAY:
                    known.add(pattern)
        return known

    def _add_templates(self) -> None:
        silent = {
            (one.source, step)
            for one in self.incidents
            if one.kind is Kind.SILENCE
            for step in range(one.first_step, -((START - one.end) // STEP))
        }
        for step, found in self.appearances.items():
            found[:] = [one for one in found if (one.source, step) not in silent]
            for one in found:
                self.counts[one.source, one.level, step] += one.entries

    def requests(self) -> Floats:
        """Durations that each path of a timed source has in each step."""
        return np.minimum(SAMPLES, self.counts[SOURCES - TIMED :, INFO] * 0.3 / PATHS)

    def durations(self) -> Iterator[list[tuple[int, int, list[float]]]]:
        """Of each step of the replay: timed source, path, milliseconds."""
        draw = np.random.default_rng(self._draw.integers(1 << 40))
        middle = np.exp(draw.uniform(np.log(5), np.log(300), (TIMED, PATHS)))
        sigma = self.sigma
        slow = np.repeat(self.slowness[:, None, :], PATHS, axis=1)
        for one in self.incidents:
            if one.kind is Kind.LATENCY:
                where, share = shares(one.onset, one.end)
                factor = 1 + (one.size - 1) * share
                slow[one.source - (SOURCES - TIMED), one.path, where] *= factor
        requests = self.requests()
        for step in range(HISTORY_DAYS * DAY // STEP - 360, STEPS):
            found = []
            for number in range(TIMED):
                for path in range(PATHS):
                    many = int(requests[number, step] + draw.random())
                    if not many:
                        continue
                    noise = draw.standard_normal(many) * sigma[number, path]
                    values = (
                        middle[number, path] * slow[number, path, step] * np.exp(noise)
                    )
                    values[draw.random(many) < 0.005] *= 10
                    found.append((SOURCES - TIMED + number, path, values.tolist()))
            yield found
