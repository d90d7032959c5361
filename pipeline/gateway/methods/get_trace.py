"""`get_trace`: what all sources did for one trace id."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.entries import StoredEntry
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.lookups import TraceReply, TraceRequest


class TracedEntry(StoredEntry, kw_only=True):
    """An entry of a trace, with what stands between it and the others."""

    offset_ms: Annotated[float, Meta(description="Since the trace's first entry.")]
    gap_ms: Annotated[
        float | None, Meta(description="Since the entry before; null for the first.")
    ]
    duration_ms: (
        Annotated[float, Meta(description="That of its metadata.")] | UnsetType
    ) = UNSET


class TraceResult(TraceReply, frozen=True, kw_only=True):
    """A trace in time order; counts and times are of all of it, whatever the limit."""

    logs: Annotated[  # type: ignore[assignment]
        list[TracedEntry], Meta(description="Entries of all sources, oldest first.")
    ]


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker."""
    del is_notification
    return await services.pool.ask("get_trace", bind(params, TraceRequest))


METHOD = Method(
    name="get_trace",
    summary="What all sources did for one trace id, in time order.",
    params=TraceRequest,
    result=TraceResult,
    errors=QUERY_ERRORS,
    answer=answer,
)
