"""Detectors of other people, and the settings that choose ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pipeline.analyzer.detectors.chosen import Chosen, thresholds_of
from pipeline.analyzer.detectors.plugins import load, load_all
from pipeline.analyzer.findings import Counts, Event, Finding
from pipeline.errors import ConfigError
from pipeline.settings.detectors import (
    Detectors,
    Latency,
    PluggedDetector,
    SilentSource,
    SourceThreshold,
)

HERE = __name__


class Payments:
    """As small as one can be."""

    def __init__(self, least: int = 1, name: str = "payments") -> None:
        if least < 0:
            raise ValueError("least is below 0")
        self.least = least
        self.name = name

    def observe_counts(self, counts: Counts, now: int) -> None:
        """Nothing."""

    def observe_events(self, events: Sequence[Event], now: int) -> None:
        """Nothing."""

    def evaluate(self, now: int) -> list[Finding]:
        """Nothing."""
        return []


class Half:
    """Has no `evaluate`."""

    def observe_counts(self) -> None:
        """Nothing."""

    def observe_events(self) -> None:
        """Nothing."""


def test_a_class_is_made_with_its_options() -> None:
    """By either form of its path."""
    for path in (f"{HERE}:Payments", f"{HERE}.Payments"):
        made = load(path, {"least": 3})
        assert isinstance(made, Payments)
        assert made.least == 3


@pytest.mark.parametrize(
    ("path", "options", "error"),
    [
        ("no path", {}, "alerts.detectors.plugins.class: 'no path' is no path"),
        ("no.such:Thing", {}, "No module named 'no'"),
        (f"{HERE}:Missing", {}, "has no Missing"),
        (f"{HERE}:Half", {}, "is not a class with evaluate"),
        (f"{HERE}:Payments", {"most": 1}, "unexpected keyword argument 'most'"),
        (f"{HERE}:Payments", {"least": -1}, "ValueError: least is below 0"),
        (f"{HERE}:Payments", {"name": ""}, "has no name"),
    ],
)
def test_what_is_wrong_is_named(path: str, options: dict[str, Any], error: str) -> None:
    """With the setting that it is of."""
    with pytest.raises(ConfigError) as caught:
        load(path, options)

    assert error in str(caught.value)
    assert "alerts.detectors.plugins" in str(caught.value)


def test_names_are_told_apart() -> None:
    """Two of a name would be one in every alert."""
    with pytest.raises(ConfigError, match=r"plugins\[1\].class: another detector is"):
        load_all([(f"{HERE}:Payments", {}), (f"{HERE}:Payments", {"least": 2})])
    with pytest.raises(ConfigError, match="is called 'latency'"):
        Chosen(Detectors(plugins=(_plugged(name="latency"),)))


def _plugged(**options: object) -> PluggedDetector:
    return PluggedDetector(path=f"{HERE}:Payments", options=options)


def _names(chosen: Chosen) -> list[str]:
    return [one.name for one in chosen.detectors]


def test_all_of_ours_watch_unless_told_otherwise() -> None:
    """Each can be switched off."""
    assert _names(Chosen(Detectors())) == [
        *("adaptive_spike", "new_pattern", "vanished_pattern"),
        *("silent_source", "latency"),
    ]
    off = Detectors(latency=Latency(enabled=False))
    assert "latency" not in _names(Chosen(off))


def test_what_was_learnt_survives_other_limits() -> None:
    """A detector stays the same object; only what changed is made anew."""
    chosen = Chosen(Detectors(plugins=(_plugged(),)))
    before = chosen.detectors
    chosen.configure(
        Detectors(silent_source=SilentSource(floor_seconds=60), plugins=(_plugged(),))
    )
    assert all(a is b for a, b in zip(before, chosen.detectors, strict=True))

    chosen.configure(Detectors(plugins=(_plugged(least=2),)))
    assert chosen.detectors[-1] is not before[-1]


def test_a_wrong_plugin_changes_nothing() -> None:
    """The old ones go on."""
    chosen = Chosen(Detectors(plugins=(_plugged(),)))
    before = _names(chosen)
    wrong = Detectors(latency=Latency(enabled=False), plugins=(_plugged(most=1),))
    with pytest.raises(ConfigError):
        chosen.configure(wrong)

    assert _names(chosen) == before


def test_thresholds_are_by_source() -> None:
    """The empty name is all together."""
    listed = [SourceThreshold("api", 100), SourceThreshold("", 0)]

    assert thresholds_of(listed) == {"api": 100, "": 0}
