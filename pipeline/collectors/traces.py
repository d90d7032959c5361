"""The trace that a thread or task works for, by the W3C's Trace Context."""

from __future__ import annotations

import re
from contextvars import ContextVar, Token
from typing import Final, NamedTuple

trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""The trace that this thread or task works for; every record of it carries the id."""

# version, trace id, span id, flags; a later version may add fields
_TRACEPARENT: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}"
    r"(?:-.*)?"
)


class Trace(NamedTuple):
    """What a `traceparent` names, in lower-case hex digits."""

    trace_id: str
    span_id: str


def parse_traceparent(header: str) -> Trace | None:
    """The trace of a `traceparent` header; None when it is not valid."""
    found = _TRACEPARENT.fullmatch(header.strip())
    return None if found is None else Trace(found[1], found[2])


def set_traceparent(header: str | None) -> Token[str | None]:
    """Work for the trace of a `traceparent` header; none if there is no valid one.

    `trace_id.reset` takes the token back when the request is done.
    """
    found = parse_traceparent(header) if header else None
    return trace_id.set(found.trace_id if found else None)
