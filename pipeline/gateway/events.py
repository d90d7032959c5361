"""`GET /tail`: the live tail as server-sent events.

An event is one entry. The last of a delivery carries an id, the number of the last
block it covers: an EventSource that reconnects sends it, and nothing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pipeline.gateway.errors import wrong_param
from pipeline.gateway.jsonrpc import nearest
from pipeline.gateway.params import bind
from pipeline.gateway.tail import Delivery
from pipeline.query.requests import TailRequest

HEARTBEAT_SECONDS: Final = 15.0
"""Proxies end a silent connection after 30 to 60 s."""

RECONNECT_MS: Final = 2_000

_LISTS: Final = ("sources", "levels", "tags", "fields")
_TEXTS: Final = ("q", "min_level", "trace_id")
_NUMBERS: Final = ("after_block",)
PARAMS: Final = (*_LISTS, *_TEXTS, *_NUMBERS)
"""Params of the query string; lists are repeated or separated by commas."""


def read_filters(
    pairs: Sequence[tuple[str, str]], headers: Mapping[str, str]
) -> TailRequest:
    """The filters of a query string and Last-Event-ID; raises RpcError (-32602)."""
    given: dict[str, object] = {}
    for name, value in pairs:
        if name not in PARAMS:
            near = nearest(name, PARAMS)
            more = {"nearest": near} if near else {}
            raise wrong_param(name, "unknown param", ", ".join(PARAMS), **more)
        if name in _LISTS:
            items = [item.strip() for item in value.split(",") if item.strip()]
            given[name] = [*_items(given.get(name)), *items]
        else:
            given[name] = value
    if (last := headers.get("Last-Event-ID")) is not None:
        given["after_block"] = last
    for name in _NUMBERS:
        if name in given:
            given[name] = _number(name, str(given[name]))
    texts = {
        name: msgspec.Raw(msgspec.json.encode(value)) for name, value in given.items()
    }
    return bind(texts, TailRequest)


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


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _number(name: str, value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise wrong_param(name, f"{value[:60]!r}", "the number of a block")
    return int(value)
