"""What the detectors find of known incidents, how soon, and what they find beside them.

    python -m bench.detection [--seeds 1,2,3]

Seven days of ten-second counts of thirty sources are replayed (`incidents.py`), after
three days of history that the detectors learn as they do when the analyzer starts.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from statistics import median
from typing import Final

import numpy as np

from bench.evidence import LIMIT, Evidence, ends, evidence
from bench.incidents import (
    ERROR,
    HISTORY_DAYS,
    INFO,
    LEVELS,
    QUIET,
    REPLAY,
    REPLAY_DAYS,
    SOURCES,
    START,
    STEP,
    STEPS,
    WARN,
    Incident,
    Ints,
    Kind,
    World,
)
from pipeline.analyzer.detectors.adaptive_spike import AdaptiveSpikes
from pipeline.analyzer.detectors.fixed_spike import FixedSpikes
from pipeline.analyzer.detectors.latency import SlowPaths
from pipeline.analyzer.detectors.new_pattern import NewPatterns
from pipeline.analyzer.detectors.silent_source import SilentSources
from pipeline.analyzer.findings import EVERYWHERE, Detector, Event, Finding, State

DAY: Final = 86_400
FIRST: Final = HISTORY_DAYS * DAY // STEP
"""Step of the replay."""

THRESHOLD, WINDOW = 20, 300

WANTED: Final = {
    "error_spike": ({Kind.SPIKE, Kind.BURN, Kind.TEMPLATE}, 0.95),
    "new_pattern": ({Kind.TEMPLATE}, 0.95),
    "adaptive_spike": ({Kind.SPIKE, Kind.BURN}, 0.9),
    "silent_source": ({Kind.SILENCE}, 0.9),
    "latency": ({Kind.LATENCY}, 0.9),
}
"""What each detector is there for, and the precision and recall that it shall have."""


@dataclass(slots=True)
class Score:
    """Of one detector, or of all together."""

    name: str
    wanted: list[Incident]
    target: float
    alerts: list[Finding] = field(default_factory=list)
    wrong: list[Finding] = field(default_factory=list)
    evident: list[Evidence] = field(default_factory=list)
    delays: dict[int, int] = field(default_factory=dict)
    """Seconds from an incident's onset to its first alert, by its place in the list."""

    @property
    def precision(self) -> float:
        return 1 - len(self.wrong) / max(1, len(self.alerts))

    @property
    def recall(self) -> float:
        return len(self.delays) / max(1, len(self.wanted))

    @property
    def carried(self) -> float:
        """Recall of the incidents that the counts carry."""
        known = [i for i, found in enumerate(self.evident) if found.carries]
        return sum(i in self.delays for i in known) / max(1, len(known))

    @property
    def delay(self) -> float:
        return median(self.delays.values()) if self.delays else float("nan")

    @property
    def earliest(self) -> float:
        """When those that were found were in the counts, median."""
        return median([self.evident[i].after for i in self.delays] or [float("nan")])

    @property
    def lag(self) -> float:
        """Of the delay what was not waiting for evidence."""
        late = [max(0.0, at - self.evident[i].after) for i, at in self.delays.items()]
        return median(late) if late else float("nan")

    @property
    def false_alerts(self) -> float:
        """For each source and week."""
        return len(self.wrong) / SOURCES * 7 / REPLAY_DAYS


class Replay:
    """One world, and the detectors that watch it."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.thresholds = thresholds_of(self.world)
        fixed = FixedSpikes(THRESHOLD, WINDOW, self.thresholds)
        self._adaptive, self._silent = AdaptiveSpikes(), SilentSources()
        self._new, self._slow = NewPatterns(), SlowPaths()
        self.detectors: list[Detector] = [
            *(fixed, self._adaptive, self._silent),
            *(self._new, self._slow),
        ]
        self.alerts: dict[str, list[Finding]] = defaultdict(list)
        self._open: set[tuple[str, str, str]] = set()

    def run(self) -> None:
        """Learn the history, then step by step."""
        self._learn()
        durations = self.world.durations()
        for step in range(FIRST - 360, STEPS):
            now = START + STEP * (step + 1)
            rows = self._rows(step, 1)
            events = self._events(step, next(durations))
            for detector in self.detectors:
                detector.observe_counts(rows, now)
                detector.observe_events(events, now)
                self._keep(detector.evaluate(now), now)

    def _learn(self) -> None:
        """Minutes of the past, and the patterns that a store has."""
        now = REPLAY - 3_600
        rows = [row for step in range(0, FIRST - 360, 6) for row in self._rows(step, 6)]
        self._adaptive.restore(rows, now, 60)
        self._silent.restore(rows, now, 60)
        known = [Event(START, "", LEVELS[WARN], one, "", 1) for one in self.world.known]
        self._new.restore_events(known, now)

    def _rows(self, step: int, steps: int) -> list[list[int | str]]:
        """Of the steps together; a single one's entries are of its last second."""
        second = START + STEP * step + (STEP - 1 if steps == 1 else 0)
        counts = self.world.counts[:, :, step : step + steps].sum(axis=2).tolist()
        return [
            [second, self.world.names[source], level, count]
            for source, by_level in enumerate(counts)
            for level, count in zip(LEVELS, by_level, strict=True)
            if count
        ]

    def _events(
        self, step: int, durations: list[tuple[int, int, list[float]]]
    ) -> list[Event]:
        second, names = START + STEP * step + STEP - 1, self.world.names
        found = [
            Event(second, names[one.source], LEVELS[one.level], one.pattern, "", 1)
            for one in self.world.appearances.get(step, ())
        ]
        for source, path, values in durations:
            where = f"/path/{'ab'[path]}"
            event = Event(second, names[source], 0, 0, "", len(values), where, values)
            found.append(event)
        return found

    def _keep(self, findings: list[Finding], now: int) -> None:
        for one in findings:
            key = one.detector, one.source, one.key
            if one.state is State.CLOSED:
                self._open.discard(key)
            elif key not in self._open:
                self._open.add(key)
                if now > REPLAY:
                    self.alerts[one.detector].append(one)


def thresholds_of(world: World) -> dict[str, int]:
    """As somebody would set them: 20, but for the loud twice the busiest of history."""
    history = world.counts[:, ERROR, :FIRST]
    busiest = sliding(history).max(axis=1)
    loud = 2 * busiest > THRESHOLD
    found = {world.names[i]: int(2 * busiest[i]) for i in np.flatnonzero(loud)}
    together = sliding(history[~loud].sum(axis=0)[None]).max() if (~loud).any() else 0
    found[EVERYWHERE] = max(THRESHOLD, int(2 * together))
    return found


def sliding(counts: Ints) -> Ints:
    """Sums of each fixed window, by its last step."""
    sums = np.cumsum(counts, axis=-1)
    steps = WINDOW // STEP
    before = np.zeros_like(sums)
    before[..., steps:] = sums[..., :-steps]
    found: Ints = sums - before
    return found


def score(replay: Replay) -> dict[str, Score]:
    """Which alerts are of an incident, and which incidents have one."""
    world, scores = replay.world, {}
    for name, (kinds, target) in WANTED.items():
        wanted = [one for one in world.incidents if one.kind in kinds]
        if name == "error_spike":
            wanted = [one for one in wanted if reaches(replay, one)]
        found = scores[name] = Score(name, wanted, target, replay.alerts[name])
        _match(found, replay)
    every = [one for alerts in replay.alerts.values() for one in alerts]
    scores["together"] = Score("together", world.incidents, 0.9, every)
    _match(scores["together"], replay)
    return scores


def _match(found: Score, replay: Replay) -> None:
    world = replay.world
    found.evident = [
        Evidence(_reached(replay, one))
        if found.name == "error_spike"
        else evidence(world, one)
        for one in found.wanted
    ]
    for alert in sorted(found.alerts, key=lambda one: one.at):
        causes = [
            one
            for one in world.incidents
            if alert.source in (EVERYWHERE, world.names[one.source])
            and one.onset <= alert.at <= one.end + max(60, alert.window)
        ]
        if not causes:
            found.wrong.append(alert)
        for one in causes:
            for place, wanted in enumerate(found.wanted):
                if wanted is one:
                    found.delays.setdefault(place, alert.at - one.onset)


def reaches(replay: Replay, one: Incident) -> bool:
    """Whether so many errors are within a window, by counting."""
    return _reached(replay, one) < inf


def _reached(replay: Replay, one: Incident) -> float:
    """Seconds from the onset until a window holds the threshold."""
    world = replay.world
    limit = replay.thresholds.get(world.names[one.source], THRESHOLD)
    last = (one.end - START) // STEP
    errors = world.counts[one.source, ERROR, one.first_step - 30 : last + 1]
    full = np.flatnonzero(sliding(errors[None])[0, 30:] >= limit)
    return ends(one, int(full[0])) if len(full) else inf


def explained(replay: Replay, name: str, one: Incident) -> str:
    """Why it was not found."""
    world = replay.world
    where = f"{one.kind} of {world.names[one.source]}"
    minutes = (one.end - one.onset) // 60
    shown = evidence(world, one)
    why = "should be seen" if shown.carries else "the counts don't carry it"
    if one.kind in (Kind.SPIKE, Kind.BURN):
        return (
            f"{name}: {where}, {one.size:.1f} times for {minutes} min: at best"
            f" {shown.seen:.0f} errors where {shown.usual:.1f} are usual"
            f" ({shown.nats:.1f} nats of {LIMIT:.1f}): {why}"
        )
    rate = world.rates[one.source, INFO, one.first_step - 60 : one.first_step].mean()
    return (
        f"{name}: {where}, {one.size:.1f} for {minutes} min,"
        f" the source having {rate / STEP:.2f} entries/s: {why}"
    )


def lines(replay: Replay, scores: dict[str, Score]) -> Iterator[str]:
    """The table, and what was missed."""
    yield (
        f"{'detector':15} {'incidents':>9} {'found':>6} {'alerts':>7} {'precision':>10}"
        f" {'recall':>7} {'carried':>8} {'false/source/week':>18} {'median delay':>13}"
        f" {'evident after':>14} {'beyond that':>12}"
    )
    for name, one in scores.items():
        yield (
            f"{name:15} {len(one.wanted):9} {len(one.delays):6} {len(one.alerts):7}"
            f" {one.precision:10.3f} {one.recall:7.3f} {one.carried:8.3f}"
            f" {one.false_alerts:18.3f}"
            f" {one.delay:11.1f} s {one.earliest:12.1f} s {one.lag:10.1f} s"
        )
    for name, one in scores.items():
        if name == "together":
            continue
        for place, incident in enumerate(one.wanted):
            if place not in one.delays:
                yield f"missed by {explained(replay, name, incident)}"
        for alert in one.wrong:
            yield f"false: day {(alert.at - REPLAY) / DAY:.2f}, {name}: {alert.text}"
    short = [
        one
        for one in replay.world.incidents
        if one.kind in (Kind.SPIKE, Kind.BURN) and not reaches(replay, one)
    ]
    yield (
        f"not for error_spike, since no window of {WINDOW} s reaches the source's"
        f" threshold: {len(short)} spikes and slow burns"
    )


def main() -> None:
    """Print the table of each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1", help="separated by commas")
    options = parser.parse_args()
    for seed in map(int, options.seeds.split(",")):
        begun = time.process_time()
        replay = Replay(seed)
        replay.run()
        scores = score(replay)
        print(
            f"seed {seed}: {REPLAY_DAYS} days of {SOURCES} sources ({QUIET} with hardly"
            f" any errors), {len(replay.world.incidents)} incidents,"
            f" {replay.world.deployments} deployments in all;"
            f" {time.process_time() - begun:.0f} s of CPU"
        )
        for line in lines(replay, scores):
            print(line)
        print(flush=True)


if __name__ == "__main__":
    main()
