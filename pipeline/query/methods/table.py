"""All methods of a worker by name."""

from __future__ import annotations

from typing import Final

from pipeline.query.methods import (
    aggregate,
    counts,
    delete,
    describe,
    events,
    explain,
    export,
    facets,
    get_alerts,
    get_context,
    get_entry,
    get_stats,
    get_trace,
    histogram,
    patterns,
    query,
    search,
    storage,
    tail,
)
from pipeline.query.methods.method import Method

_FILES: Final[tuple[Method, ...]] = (
    *(query, search, get_stats, aggregate, histogram, facets, patterns, tail),
    *(describe, get_entry, get_context, get_trace, get_alerts),
    *(explain, export, delete),
    *(counts, events, storage),
)

METHODS: Final[dict[str, Method]] = {file.NAME: file for file in _FILES}
