"""Every limit of the API with its value: what `get_limits` tells.

Most are settings; those without one are fixed, each with its reason where it stands.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from pipeline import limits
from pipeline.gateway import bodies, connections, export, websocket
from pipeline.gateway.methods.entries import ROW_BYTES
from pipeline.query import exports, lookups, requests
from pipeline.settings import Settings


class Limit(Struct, frozen=True):
    """One limit."""

    name: str
    value: int | float
    unit: str
    setting: Annotated[
        str | None, Meta(description="The setting that changes it; null: it is fixed.")
    ]
    meaning: str


class LimitsResult(Struct, frozen=True):
    """All limits of the API; beyond one a call gets an error that names it."""

    limits: list[Limit]


_CLIENTS: Final = (
    (
        *("connections", "gateway.connections", "connections"),
        "Connections at once; the one that has waited longest without a request goes.",
    ),
    (
        *("head_seconds", "gateway.head_seconds", "s"),
        "Longest that the head of a request takes.",
    ),
    (
        *("body_seconds", "gateway.body_seconds", "s"),
        "Longest that a request's body takes.",
    ),
    (
        *("idle_seconds", "gateway.idle_seconds", "s"),
        "Longest that a connection waits for its next request.",
    ),
    (
        *("calls_per_second", "gateway.calls_per_second", "calls/s"),
        "Calls of a token, or of an address without one; beyond it: 429. 0: any.",
    ),
    (
        *("calls_burst", "gateway.calls_burst", "calls"),
        "Calls that it may make at once after it has rested.",
    ),
    (
        *("failures_per_minute", "authentication.failures_per_minute", "requests"),
        "Requests of an address without a valid token in a minute; beyond it: 429.",
    ),
)
_SETTINGS: Final = (
    ("query_seconds", "query.timeout_seconds", "s", "Longest that one question runs."),
    (
        "rows_scanned",
        "query.max_rows_scanned",
        "entries",
        "Entries that one question looks at.",
    ),
    (
        "bytes_scanned",
        "query.max_bytes_scanned",
        "bytes",
        "Bytes that one question reads from the store.",
    ),
    ("groups", "query.max_groups", "groups", "Groups of one table."),
    ("rows_returned", "query.max_rows", "entries", "Entries that one reply has."),
    (
        "queries_running",
        "query.workers",
        "questions",
        "Questions that are answered at once.",
    ),
    (
        *("queries_waiting", "gateway.pending_queries", "questions"),
        "Questions that wait for a worker; beyond it: busy.",
    ),
    ("batch_calls", "gateway.batch_calls", "calls", "Calls of one JSON-RPC batch."),
    ("request_bytes", "gateway.request_bytes", "bytes", "Size of a request's body."),
    *_CLIENTS,
    (
        *("durable_seconds", "gateway.durable_timeout_seconds", "s"),
        "Longest that `log` waits for its entry to be durable.",
    ),
    (
        "export_clients",
        "gateway.export_clients",
        "exports",
        "Exports that run at once; beyond it: busy.",
    ),
    (
        "tail_clients",
        "gateway.tail_clients",
        "clients",
        "Listeners of the live tail; beyond it: busy.",
    ),
    (
        "tail_queue",
        "gateway.tail_queue",
        "entries",
        "Entries that wait for a slow listener; then the oldest go.",
    ),
)
_FIXED: Final = (
    ("reply_bytes", requests.REPLY_BYTES, "bytes", "Size at which a page ends early."),
    (
        "query_characters",
        requests.QUERY_CHARACTERS,
        "characters",
        "Length of a search text.",
    ),
    ("list_items", requests.LIST_ITEMS, "values", "Values of a list parameter."),
    ("page_rows", requests.PAGE_ROWS, "entries", "`limit` of a page."),
    (
        "context_rows",
        requests.CONTEXT_ROWS,
        "entries",
        "`context` of search, on each side.",
    ),
    (
        "around_rows",
        lookups.AROUND_ROWS,
        "entries",
        "`before` and `after` of get_context.",
    ),
    (
        *("piece_characters", lookups.PIECE_CHARACTERS, "characters"),
        "`length` of a piece in get_entry.",
    ),
    ("buckets", requests.BUCKETS_MAX, "buckets", "Buckets of a histogram."),
    (
        "export_page_rows",
        exports.PAGE_ROWS,
        "entries",
        "Entries of an export that are held at once.",
    ),
    (
        "export_page_bytes",
        exports.PAGE_BYTES,
        "bytes",
        "Size of what is held of an export at once.",
    ),
    (
        *("export_stall_seconds", export.STALL_SECONDS, "s"),
        "Longest that a client of an export takes for 256 KiB.",
    ),
    (
        *("bodies_bytes", bodies.BODIES_BYTES, "bytes"),
        "Size of all requests' bodies together; beyond it: busy.",
    ),
    (
        *("stall_seconds", connections.STALL_SECONDS, "s"),
        "Longest that any client takes for 64 KiB of what waits for it.",
    ),
    (
        "socket_calls",
        websocket.CALLS_AT_ONCE,
        "calls",
        "Calls of one WebSocket that run at once.",
    ),
    ("entry_bytes", ROW_BYTES, "bytes", "Size of an entry of a call, as JSON."),
    ("message_bytes", limits.MESSAGE_BYTES, "bytes", "Size of a message."),
    ("metadata_bytes", limits.METADATA_BYTES, "bytes", "Size of an entry's metadata."),
    ("metadata_keys", limits.METADATA_KEYS, "keys", "Keys of an entry's metadata."),
    ("tags", limits.TAGS, "tags", "Tags of an entry."),
)


def encode(settings: Settings) -> bytes:
    """The reply of `get_limits` as JSON text."""
    return msgspec.json.encode(LimitsResult(limits_of(settings)))


def limits_of(settings: Settings) -> list[Limit]:
    """All limits with their values, those that can be set first."""
    return [
        *(
            Limit(name, attrgetter(path)(settings), unit, path, meaning)
            for name, path, unit, meaning in _SETTINGS
        ),
        *(
            Limit(name, value, unit, None, meaning)
            for name, value, unit, meaning in _FIXED
        ),
    ]
