"""Durations in buckets that grow by a tenth: any percentile to 5 %, in 1 KB; pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from statistics import NormalDist
from typing import Final

GROWTH: Final = 1.1
SMALLEST: Final = 0.01
"""Milliseconds; below it there is one bucket, above the greatest one too."""
BUCKETS: Final = 224
"""Up to 10^7 ms, which is three hours."""

_SCALE: Final = 1 / math.log(GROWTH)


def bucket_of(duration: float) -> int:
    """The bucket that a duration in ms falls in."""
    if not duration > SMALLEST:
        return 0
    place = math.log(duration / SMALLEST) * _SCALE
    return 1 + int(place) if place < BUCKETS - 2 else BUCKETS - 1


def middle_of(bucket: int) -> float:
    """A duration of the bucket, ms."""
    return SMALLEST * math.exp((bucket - 0.5) / _SCALE)


class Histogram:
    """Weights of buckets, which can fade."""

    __slots__ = ("_weights", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self._weights = array("f", bytes(4 * BUCKETS))

    def add(self, buckets: Iterable[int]) -> None:
        """Count one duration in each of these."""
        weights, number = self._weights, 0
        for bucket in buckets:
            weights[bucket] += 1
            number += 1
        self.total += number

    def merge(self, other: Histogram) -> None:
        """Count what another one has."""
        for bucket, weight in enumerate(other._weights):
            if weight:
                self._weights[bucket] += weight
        self.total += other.total

    def fade(self, keep: float) -> None:
        """Everything weighs only this share of what it did."""
        self._weights = array("f", [weight * keep for weight in self._weights])
        self.total = sum(self._weights)

    def percentile(self, share: float) -> float:
        """The duration in ms that this share is at or below; 0 of nothing."""
        wanted = share * self.total
        for bucket, weight in enumerate(self._weights):
            wanted -= weight
            if weight and wanted <= 1e-9 * self.total:
                return middle_of(bucket)
        return 0.0

    def above(self, bucket: int) -> float:
        """The share of what lies above a bucket."""
        if self.total <= 0:
            return 0.0
        return sum(self._weights[bucket + 1 :]) / self.total

    def add_lognormal(self, count: float, p50: float, p95: float) -> None:
        """What so many durations with these percentiles probably were."""
        low = max(p50, SMALLEST)
        sigma = max(math.log(max(p95, low) / low) / 1.645, 0.02)
        shape = NormalDist(math.log(low), sigma)
        before = 0.0
        for bucket in range(BUCKETS):
            edge = math.log(SMALLEST) + bucket / _SCALE
            share = shape.cdf(edge) if bucket < BUCKETS - 1 else 1.0
            self._weights[bucket] += count * (share - before)
            before = share
        self.total += count
