"""What the tools may be asked, as types: the gateway checks calls with them. No numpy.

A definition's schema has the same names; a test holds them equal.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from pipeline.query.lookups import LEAST_TOKENS, MOST_TOKENS
from pipeline.tools.definitions import MAX_TOKENS

MaxTokens = Annotated[
    int,
    Meta(ge=LEAST_TOKENS, le=MOST_TOKENS, description="Most tokens of the reply."),
]
Sources = Annotated[
    list[str], Meta(max_length=1_000, description="Only these sources.")
]
Age = Annotated[
    str, Meta(description="How far back from now.", examples=["30s", "5m", "1h", "2d"])
]
Cursor = Annotated[
    str, Meta(max_length=1_000, description="`cursor` of the reply before.")
]
Text = Annotated[
    str, Meta(max_length=16_384, description="Search text, as `q` of `query`.")
]


class ErrorsRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Errors of the last minutes, grouped."""

    minutes: Annotated[int, Meta(ge=1, le=525_600, description="How far back.")] = 30
    sources: Sources | None = None
    cursor: Cursor | None = None
    max_tokens: MaxTokens = MAX_TOKENS


class PerformanceRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Slow requests and queries."""

    timerange: Age = "1h"
    threshold_ms: Annotated[
        int, Meta(ge=0, le=86_400_000, description="Slow from here on.")
    ] = 1_000
    max_tokens: MaxTokens = MAX_TOKENS


class SessionRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What happens right now."""

    since: Age = "5m"
    include_trace: Annotated[
        bool, Meta(description="Also the logs of traces that failed.")
    ] = False
    max_tokens: MaxTokens = MAX_TOKENS


class FindRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Entries that match a text."""

    query: Text
    timerange: Age = "1h"
    sources: Sources | None = None
    context: Annotated[
        int, Meta(ge=0, le=20, description="Entries beside each match.")
    ] = 3
    cursor: Cursor | None = None
    max_tokens: MaxTokens = MAX_TOKENS


class CountsRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How many entries."""

    timerange: Age = "1h"
    group_by: Annotated[
        Literal["source", "level", "hour"], Meta(description="What to count by.")
    ] = "source"
    cursor: Cursor | None = None
    max_tokens: MaxTokens = MAX_TOKENS


class KindsRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Kinds of messages."""

    timerange: Age = "1h"
    query: Text | None = None
    sources: Sources | None = None
    compare_to: (
        Annotated[str, Meta(description="Length of the time before to compare with.")]
        | None
    ) = None
    cursor: Cursor | None = None
    max_tokens: MaxTokens = MAX_TOKENS


class StoreRequest(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is stored."""

    max_tokens: MaxTokens = MAX_TOKENS
