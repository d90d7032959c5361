"""Metrics as Prometheus reads them; prometheus_client has its one home here.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from pipeline.gateway.watching.histogram import BOUNDS, Histogram
from pipeline.metrics import Metric, metrics, values

CONTENT_TYPE: Final[str] = CONTENT_TYPE_LATEST


def expose(state: Mapping[str, Any], durations: Mapping[str, Histogram]) -> bytes:
    """The body of `/metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Told(state, durations))
    return generate_latest(registry)


class _Told(Collector):
    def __init__(
        self, state: Mapping[str, Any], durations: Mapping[str, Histogram]
    ) -> None:
        self._state, self._durations = state, durations

    def collect(self) -> Iterator[Family]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for metric, label, value in values(self._state):
            family = families.get(metric.name)
            if family is None:
                family = families[metric.name] = _family(metric)
            family.add_metric([label] if metric.label else [], value)
        yield from families.values()
        for metric in metrics():
            if metric.kind == "histogram":
                yield _histogram(metric, self._durations)


def _family(metric: Metric) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(
        metric.name, _help(metric), labels=[metric.label] if metric.label else []
    )


def _help(metric: Metric) -> str:
    return f"{metric.meaning} {metric.remedy}".strip()


def _histogram(
    metric: Metric, durations: Mapping[str, Histogram]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(metric.name, _help(metric), labels=[metric.label])
    names = [*map(str, BOUNDS), "+Inf"]
    for label, found in durations.items():
        upto = accumulate(found.counts)
        buckets = list(zip(names, map(float, upto), strict=True))
        family.add_metric([label], buckets, found.sum)
    return family
