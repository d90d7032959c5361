"""The numbers that tell most, out of all: what `get_metrics` answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.gateway.watching.histogram import Histogram, together
from pipeline.gateway.watching.results import (
    Durations,
    ErrorRate,
    Lag,
    MetricsResult,
    ProcessMemory,
    ResponseTime,
    StorageSize,
)
from pipeline.metrics import values

_TROUBLE: Final = (
    *("refused", "rejected", "dropped", "lost", "missed", "failed", "gaps"),
    *("busy", "late", "internal_errors", "dead_letters", "killed", "timed_out"),
)


def summarize(
    state: Mapping[str, Any],
    durations: Mapping[str, Histogram],
    memory: dict[str, int],
    canary_age: float | None,
) -> MetricsResult:
    """The reply; `memory` is the machine's."""
    processes, store = state["processes"], state["store"]
    resident = {
        name: each["rss_bytes"]
        for name, each in processes.items()
        if "rss_bytes" in each
    }
    canary, rates = state["canary"], state["rates"]
    whole = _durations(together(list(durations.values())))
    return MetricsResult(
        logIngestionRate=round(rates["entries"], 3),
        queryResponseTime=ResponseTime(
            *(whole.count, whole.mean, whole.p50, whole.p95, whole.p99),
            by_method={name: _durations(each) for name, each in durations.items()},
        ),
        storageSize=StorageSize(
            store["bytes"], store["entries"], store["blocks"], store["sources"]
        ),
        errorRate=ErrorRate(round(rates["errors"], 3), round(rates["error_share"], 6)),
        systemMemory=ProcessMemory(memory, sum(resident.values()), resident),
        pythonProcessHealth={name: each["up"] for name, each in processes.items()},
        lag=Lag(canary.get("lag_seconds"), canary_age, canary["sent"], canary["lost"]),
        waiting=_waiting(state),
        refused=_refused(state),
    )


def _durations(found: Histogram) -> Durations:
    mean = found.sum / found.count if found.count else 0.0
    shares = (found.quantile(share) for share in (0.5, 0.95, 0.99))
    return Durations(
        found.count, *(round(1_000 * value, 3) for value in (mean, *shares))
    )


def _waiting(state: Mapping[str, Any]) -> dict[str, int]:
    gateway, ingester = state["gateway"], state["ingester"]
    compaction = ingester.get("compaction") or {}
    return {
        "entries_in_collector": gateway["collector"]["waiting"],
        "entries_in_ingester": ingester.get("waiting_rows", 0),
        "entries_to_compact": compaction.get("backlog_rows", 0),
        "questions": gateway["workers"]["waiting"],
    }


def _refused(state: Mapping[str, Any]) -> dict[str, int]:
    """Counters of trouble that aren't 0, by the names that METRICS.md has."""
    found: dict[str, int] = {}
    for metric, label, value in values(state):
        if metric.kind == "counter" and value and _is_trouble(metric.path):
            name = f"{metric.name}{{{label}}}" if label else metric.name
            found[name] = int(value)
    return found


def _is_trouble(path: tuple[str, ...]) -> bool:
    return any(word in part for part in path[1:] for word in _TROUBLE)
