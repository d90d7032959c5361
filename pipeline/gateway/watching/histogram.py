"""How long calls take, counted in buckets; pure."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Final

BOUNDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    *(10.0, 30.0),
)
"""Upper bounds in seconds; what is longer is in a last bucket without one."""


class Histogram:
    """Durations of one kind of call."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def observe(self, seconds: float) -> None:
        """One took so long."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    def quantile(self, share: float) -> float:
        """The duration that this share did not exceed, in seconds, within its bucket.

        As Prometheus' histogram_quantile: evenly between the bounds of a bucket.
        """
        total = self.count
        if not total:
            return 0.0
        wanted = share * total
        for at, upto in enumerate(accumulate(self.counts)):
            if upto >= wanted and self.counts[at]:
                low = BOUNDS[at - 1] if at else 0.0
                high = BOUNDS[at] if at < len(BOUNDS) else BOUNDS[-1]
                inside = (wanted - (upto - self.counts[at])) / self.counts[at]
                return low + (high - low) * inside
        return BOUNDS[-1]


def together(parts: list[Histogram]) -> Histogram:
    """All of them as one."""
    whole = Histogram()
    for part in parts:
        whole.counts = [a + b for a, b in zip(whole.counts, part.counts, strict=True)]
        whole.sum += part.sum
    return whole
