"""The detectors that the settings choose, beside fixed spikes and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.analyzer.detectors.adaptive_spike import AdaptiveSpikes
from pipeline.analyzer.detectors.latency import SlowPaths
from pipeline.analyzer.detectors.new_pattern import NewPatterns
from pipeline.analyzer.detectors.plugins import load_all
from pipeline.analyzer.detectors.silent_source import SilentSources
from pipeline.analyzer.detectors.vanished_pattern import VanishedPatterns
from pipeline.analyzer.findings import Detector
from pipeline.level import Level
from pipeline.settings.detectors import Detectors, SourceThreshold

TAKEN: Final = (
    *("error_spike", "adaptive_spike", "new_pattern", "vanished_pattern"),
    *("silent_source", "latency", "rule", "group"),
)
"""Names that a plug-in can't have."""


class Chosen:
    """Made once and configured anew; raises ConfigError when a plug-in is wrong."""

    def __init__(self, settings: Detectors) -> None:
        self._adaptive: AdaptiveSpikes | None = None
        self._new: NewPatterns | None = None
        self._vanished: VanishedPatterns | None = None
        self._silent: SilentSources | None = None
        self._latency: SlowPaths | None = None
        self._plugged: list[tuple[str, Mapping[str, Any]]] = []
        self._plugins: list[Detector] = []
        self.configure(settings)

    @property
    def detectors(self) -> list[Detector]:
        """Those that are enabled."""
        own: Sequence[Detector | None] = (
            *(self._adaptive, self._new, self._vanished),
            *(self._silent, self._latency),
        )
        return [*(one for one in own if one is not None), *self._plugins]

    def configure(self, settings: Detectors) -> None:
        """Other limits; raises ConfigError, and then nothing changed.

        What was learnt stays, but of a detector that is switched off. Plug-ins are made
        anew when the list of them is another.
        """
        plugged = [(one.path, one.options) for one in settings.plugins]
        if plugged != self._plugged:
            self._plugins, self._plugged = load_all(plugged, TAKEN), plugged
        self._configure_counting(settings)
        self._configure_patterns(settings)

    def _configure_counting(self, settings: Detectors) -> None:
        spike, silent = settings.adaptive_spike, settings.silent_source
        if spike.enabled:
            self._adaptive = self._adaptive or AdaptiveSpikes()
            self._adaptive.configure(
                spike.factor, spike.minimum, 1 / spike.one_in, Level[spike.level]
            )
        else:
            self._adaptive = None
        if silent.enabled:
            self._silent = self._silent or SilentSources()
            self._silent.configure(silent.factor, silent.floor_seconds)
        else:
            self._silent = None

    def _configure_patterns(self, settings: Detectors) -> None:
        new, vanished = settings.new_pattern, settings.vanished_pattern
        slow = settings.latency
        if new.enabled:
            self._new = self._new or NewPatterns()
            self._new.configure(new.learning_seconds, new.minimum, Level[new.level])
        else:
            self._new = None
        if vanished.enabled:
            self._vanished = self._vanished or VanishedPatterns()
            self._vanished.configure(vanished.floor_seconds)
        else:
            self._vanished = None
        if slow.enabled:
            self._latency = self._latency or SlowPaths()
            self._latency.configure(slow.factor, slow.minimum)
        else:
            self._latency = None


def thresholds_of(listed: Sequence[SourceThreshold]) -> dict[str, int]:
    """Of single sources; the last one of a name holds."""
    return {one.source: one.threshold for one in listed}
