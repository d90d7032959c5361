"""What a detector had found ends when it goes: nobody else would call it over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.alerts import Kind
from pipeline.analyzer.findings import Finding, State
from pipeline.settings.detectors import Detectors, PluggedDetector
from tests.analyzer.test_analyzer import NOW, SETTINGS, started


class Alarm:
    """A plug-in that finds something once; it fails when it sees a batch."""

    name = "alarm"

    def __init__(self, rings: bool = True) -> None:
        self.rings = rings

    def observe_counts(self, counts: Any, now: int) -> None:
        """Break at the source `poison`."""
        assert all(row[1] != "poison" for row in counts)

    def observe_events(self, events: Any, now: int) -> None:
        """Nothing."""

    def evaluate(self, now: int) -> list[Finding]:
        """It rings."""
        rings, self.rings = self.rings, False
        return [SAID] if rings else []


SAID = Finding(
    detector=Alarm.name,
    source="api",
    key="",
    state=State.OPEN,
    at=NOW,
    since=NOW,
    value=1,
    baseline=None,
    threshold=None,
    window=10,
    text="it rings",
    query="*",
)
ALARM = PluggedDetector(path=f"{__name__}:Alarm")


@pytest.mark.parametrize(
    "plugins", [(), (replace(ALARM, options={"rings": False}),)], ids=["gone", "other"]
)
def test_a_detector_that_goes_ends_its_alerts(
    plugins: tuple[PluggedDetector, ...],
) -> None:
    """By a reload: what it found, nobody else would ever call over."""
    with_alarm = replace(SETTINGS, detectors=Detectors(plugins=(ALARM,)))
    world = started(with_alarm)
    world.analyzer.evaluate(NOW)
    world.analyzer.reload(with_alarm, world)
    world.analyzer.evaluate(NOW)
    assert world.kinds() == [Kind.OPENED]

    world.analyzer.reload(
        replace(SETTINGS, detectors=Detectors(plugins=plugins)), world
    )
    world.analyzer.evaluate(NOW + 1)

    assert world.kinds() == [Kind.OPENED, Kind.RESOLVED]


def test_a_detector_that_fails_ends_its_alerts() -> None:
    """It is set aside, and would leave them open until a restart."""
    world = started(replace(SETTINGS, detectors=Detectors(plugins=(ALARM,))))
    world.analyzer.evaluate(NOW)
    world.summary(1, (NOW, "poison", 9, 1))
    world.analyzer.evaluate(NOW + 1)

    assert world.kinds() == [Kind.OPENED, Kind.RESOLVED]


class Alias(Alarm):
    """One that says that somebody else found it."""

    name = "alias"


def test_a_finding_is_of_the_detector_that_told_it() -> None:
    """Under another name it would stay open when the detector goes."""
    plugin = PluggedDetector(path=f"{__name__}:Alias")
    with_alias = replace(SETTINGS, detectors=Detectors(plugins=(plugin,)))
    world = started(with_alias)
    world.analyzer.evaluate(NOW)
    assert [notice.alert.detector for notice in world.sent] == ["alias"]

    world.analyzer.reload(SETTINGS, world)
    world.analyzer.evaluate(NOW + 1)

    assert world.kinds() == [Kind.OPENED, Kind.RESOLVED]
