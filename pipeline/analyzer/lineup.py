"""The detectors of the settings: made once, and configured anew by a reload."""

from __future__ import annotations

from pipeline.analyzer.detectors.chosen import Chosen, thresholds_of
from pipeline.analyzer.detectors.fixed_spike import FixedSpikes
from pipeline.analyzer.findings import Detector, Finding
from pipeline.analyzer.rules import RuleDetector, read_rules
from pipeline.settings.alerts import Alerts


class Lineup:
    """All detectors; raises ConfigError when a rule or a plug-in is wrong."""

    def __init__(self, settings: Alerts) -> None:
        self.rules = RuleDetector(read_rules(settings.rules))
        self.spikes = FixedSpikes(
            settings.error_spike_threshold,
            settings.error_spike_window,
            thresholds_of(settings.error_spike_thresholds),
        )
        self._window = settings.error_spike_window
        self._others = Chosen(settings.detectors)

    @property
    def detectors(self) -> list[Detector]:
        """In the order in which they are evaluated."""
        return [self.spikes, *self._others.detectors, self.rules]

    def configure(self, settings: Alerts) -> Replaced | None:
        """Other thresholds and rules; raises ConfigError, and then nothing changed.

        What was learnt stays. A spike's other window needs the counts of the past.
        """
        rules = read_rules(settings.rules)
        threshold, window = (
            settings.error_spike_threshold,
            settings.error_spike_window,
        )
        thresholds = thresholds_of(settings.error_spike_thresholds)
        self._others.configure(settings.detectors)
        self.rules.configure(rules)
        if window == self._window:
            self.spikes.configure(threshold, thresholds)
            return None
        old, self.spikes = self.spikes, FixedSpikes(threshold, window, thresholds)
        self._window = window
        return Replaced(old, window)


class Replaced:
    """Spikes of a window that is no more: what was open has to be found anew."""

    def __init__(self, spikes: FixedSpikes, window: int) -> None:
        self.window = window
        self._old = spikes

    def again(self, window: int) -> Replaced:
        """By one of yet another window."""
        return Replaced(self._old, window)

    def settle(self, found: list[Finding], now: int) -> list[Finding]:
        """The findings anew, and the ends of those that were not found again."""
        self._old.configure(0)
        again = {one.source for one in found}
        closed = [one for one in self._old.evaluate(now) if one.source not in again]
        return [*found, *closed]
