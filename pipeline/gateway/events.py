"""`GET /tail`: the live tail as server-sent events.

An event is one entry. The last of a delivery carries an id, the number of the last
block it covers: an EventSource that reconnects sends it, and nothing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pipeline.gateway.params import bind
from pipeline.gateway.query_string import Names, read_query
from pipeline.gateway.tail import Delivery
from pipeline.query.requests import TailRequest

HEARTBEAT_SECONDS: Final = 15.0
"""Proxies end a silent connection after 30 to 60 s."""

RECONNECT_MS: Final = 2_000

_LISTS: Final = ("sources", "levels", "tags", "fields")
_TEXTS: Final = ("q", "min_level", "trace_id")
_RESUMED: Final = "after_block"
PARAMS: Final = (*_LISTS, *_TEXTS, _RESUMED)
"""Params of the query string; lists are repeated or separated by commas."""

_NAMES: Final = Names(PARAMS, lists=_LISTS, numbers=(_RESUMED,))


def read_filters(
    pairs: Sequence[tuple[str, str]], headers: Mapping[str, str]
) -> TailRequest:
    """The filters of a query string and Last-Event-ID; raises RpcError (-32602)."""
    given = list(pairs)
    if (last := headers.get("Last-Event-ID")) is not None:
        given = [pair for pair in given if pair[0] != _RESUMED] + [(_RESUMED, last)]
    return bind(dict(read_query(given, _NAMES)), TailRequest)


def opening(last_block: int) -> bytes:
    """What a connection begins with: when to reconnect, and from where."""
    return b"retry: %d\nid: %d\n\n" % (RECONNECT_MS, last_block)


def encode(delivery: Delivery) -> bytes:
    """A delivery as events; one without entries is a comment that moves the id on."""
    parts = []
    if delivery.missed:
        parts.append(b'event: missed\ndata: {"missed":%d}\n\n' % delivery.missed)
    if not delivery.logs:
        parts.append(b": nothing new\nid: %d\n\n" % delivery.last_block)
    parts.extend(b"data: %b\n\n" % log for log in delivery.logs[:-1])
    if delivery.logs:
        parts.append(b"id: %d\ndata: %b\n\n" % (delivery.last_block, delivery.logs[-1]))
    return b"".join(parts)
