"""What language models may ask for, as the Model Context Protocol describes tools.

Each is a method of the gateway, too. Descriptions are short because every reader pays
for all of them before its first question; schemas are flat, since some readers know no
more than strings, numbers and enumerations.
"""

from __future__ import annotations

from typing import Any, Final

from pipeline.query.lookups import LEAST_TOKENS, MOST_TOKENS

MAX_TOKENS: Final = 6_000
"""What a reply may take if nobody says."""

Schema = dict[str, Any]

_SOURCES: Final[Schema] = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Only these sources.",
}
_CURSOR: Final[Schema] = {
    "type": "string",
    "description": "`cursor` of the reply before, for what follows it.",
}
_BUDGET: Final[Schema] = {
    "type": "integer",
    "minimum": LEAST_TOKENS,
    "maximum": MOST_TOKENS,
    "default": MAX_TOKENS,
    "description": "Most tokens of the reply.",
}


def _text(description: str, default: str | None = None) -> Schema:
    schema: Schema = {"type": "string", "description": description}
    return schema if default is None else schema | {"default": default}


def _number(description: str, default: int, least: int, most: int) -> Schema:
    return {
        "type": "integer",
        "minimum": least,
        "maximum": most,
        "default": default,
        "description": description,
    }


def _age(default: str) -> Schema:
    return _text("How far back from now: 30s, 5m, 1h, 2d.", default)


def _tool(
    name: str, description: str, properties: dict[str, Schema], *required: str
) -> dict[str, Any]:
    schema: Schema = {
        "type": "object",
        "properties": properties | {"max_tokens": _BUDGET},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = list(required)
    return {
        "name": name,
        "description": description,
        "inputSchema": schema,
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }


DEFINITIONS: Final[tuple[dict[str, Any], ...]] = (
    _tool(
        "get_recent_errors",
        "Errors of the last minutes, grouped by kind of message, with how many, since"
        " when, where, and one example of each. Start here when something is broken.",
        {
            "minutes": _number("How far back.", 30, 1, 525_600),
            "sources": _SOURCES,
            "cursor": _CURSOR,
        },
    ),
    _tool(
        "analyze_performance",
        "Slow HTTP requests and database queries, and p50, p95 and p99 of each path,"
        " over all that was logged. Start here when something is slow.",
        {
            "timerange": _age("1h"),
            "threshold_ms": _number("Slow from here on.", 1_000, 0, 86_400_000),
        },
    ),
    _tool(
        "debug_session",
        "What happens right now, in one look: errors, HTTP, MCP calls, AI analyses,"
        " counts, and the traces of what failed. Start here when you know nothing yet.",
        {
            "since": _age("5m"),
            "include_trace": {
                "type": "boolean",
                "default": False,
                "description": "Also the logs of traces that failed.",
            },
        },
    ),
    _tool(
        "search_logs",
        "Entries that match a text, each among its neighbours.",
        {
            "query": _text(
                'Words (all must be there), "phrases", pre*, -not, OR, (groups),'
                " field:value, field:>5; for instance: level:>=WARN timeout"
            ),
            "timerange": _age("1h"),
            "sources": _SOURCES,
            "context": _number("Entries beside each match.", 3, 0, 20),
            "cursor": _CURSOR,
        },
        "query",
    ),
    _tool(
        "get_log_stats",
        "How many entries, by source and level, and the share of errors.",
        {
            "timerange": _age("1h"),
            "group_by": {
                "type": "string",
                "enum": ["source", "level", "hour"],
                "default": "source",
                "description": "What to count by.",
            },
            "cursor": _CURSOR,
        },
    ),
    _tool(
        "get_trace",
        "All that happened for one trace_id, in order, in all sources, with the gaps.",
        {"trace_id": _text("As an entry has it."), "cursor": _CURSOR},
        "trace_id",
    ),
    _tool(
        "list_patterns",
        "Kinds of messages, the most frequent first; with compare_to also those that"
        " are new, gone, or more frequent than before.",
        {
            "timerange": _age("1h"),
            "query": _text("Only of entries that match, as in search_logs."),
            "sources": _SOURCES,
            "compare_to": _text("Length of the time before to compare with, as 1h."),
            "cursor": _CURSOR,
        },
    ),
    _tool(
        "get_context",
        "The entries before and after one.",
        {
            "id": _text("As another reply has it."),
            "before": _number("Entries before it.", 10, 0, 200),
            "after": _number("Entries after it.", 10, 0, 200),
            "scope": {
                "type": "string",
                "enum": ["source", "all"],
                "default": "source",
                "description": "Neighbours of its source, or of all.",
            },
        },
        "id",
    ),
    _tool(
        "describe_logs",
        "What is stored: sources, fields with frequent values, span and volume.",
        {},
    ),
    _tool(
        "get_entry",
        "One entry whole, or a piece of a long field of it.",
        {
            "id": _text("As another reply has it."),
            "field": _text("Only this one: message, metadata.KEY and so on."),
            "offset": _number("First character of the piece.", 0, 0, 1 << 24),
        },
        "id",
    ),
)
"""The tools; `name` is the method's."""
