"""All methods by name: the dispatcher, the OpenRPC document and the tests read this."""

from __future__ import annotations

from typing import Final

from pipeline.gateway.methods import (
    acknowledge_alert,
    aggregate,
    delete,
    describe,
    discover,
    explain,
    export,
    facets,
    get_alerts,
    get_context,
    get_entry,
    get_ledger,
    get_limits,
    get_metrics,
    get_stats,
    get_trace,
    health,
    histogram,
    log,
    log_batch,
    patterns,
    query,
    reload_config,
    search,
    silence,
    tools,
    unsilence,
)
from pipeline.gateway.methods.method import Method

_BASIC: Final = [
    module.METHOD
    for module in (
        *(log, log_batch, query, search, get_stats, aggregate, histogram, facets),
        *(patterns, describe),
        *(get_entry, get_context, get_trace, explain, export, delete),
        *(get_alerts, acknowledge_alert, silence, unsilence),
        *(get_ledger, get_limits, health, get_metrics, reload_config, discover),
    )
]

METHODS: Final[dict[str, Method]] = {
    method.name: method for method in (*_BASIC, *tools.TOOLS)
}
