"""Which settings a running process takes over, and which wait for its next start."""

from __future__ import annotations

from typing import Final

from pipeline.settings.keys import keys
from pipeline.settings.load import build
from pipeline.settings.model import Settings
from pipeline.settings.shown import value_of

LIVE: Final = {
    "ingester": (
        "compaction.idle_level",
        "compaction.keep_replaced_seconds",
        "compaction.level",
        "compaction.nice",
        "ingest.commit_interval_ms",
        "ingest.commit_rows",
        "storage.low_water_mb",
        "storage.max_days",
        "storage.max_size_mb",
        "storage.reserve_mb",
        "storage.rules",
    ),
    "analyzer": ("alerts.",),
    "collector": ("collect.", "redaction."),
    "gateway": (
        "authentication.failures_per_minute",
        "gateway.batch_calls",
        "gateway.calls_burst",
        "gateway.calls_per_second",
        "gateway.durable_timeout_seconds",
        "gateway.export_clients",
        "gateway.hosts",
        "gateway.origins",
        "gateway.pending_queries",
        "gateway.tail_clients",
        "gateway.tail_queue",
        "metrics.canary_seconds",
        "query.max_bytes_scanned",
        "query.max_groups",
        "query.max_rows",
        "query.max_rows_scanned",
        "query.timeout_seconds",
        "redaction.",
        "storage.attach",
    ),
}
"""By the process that goes by them; a name that ends in a dot is a whole section."""


def is_live(path: str, process: str) -> bool:
    """Whether this process takes a new value of the key while it runs."""
    return any(
        path == name or (name.endswith(".") and path.startswith(name))
        for name in LIVE[process]
    )


def differing(before: Settings, after: Settings) -> list[str]:
    """The keys whose values differ."""
    return [p for p in keys() if value_of(before, p) != value_of(after, p)]


def taken_over(
    running: Settings, wanted: Settings, *processes: str
) -> tuple[Settings, list[str], list[str]]:
    """What these processes go by from now on, what changed, and what needs a restart.

    A key that needs one keeps its value, so that it is named again the next time.
    """
    changed: list[str] = []
    held: list[str] = []
    for path in differing(running, wanted):
        lives = any(is_live(path, process) for process in processes)
        (changed if lives else held).append(path)
    values = {path: value_of(running, path) for path in keys()}
    values |= {path: value_of(wanted, path) for path in changed}
    made: Settings = build(Settings, "", values)
    return made, changed, held
