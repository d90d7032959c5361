"""`export`: the path under which all entries that match are a file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from pipeline.gateway.export import CONTENT_TYPES, NAMES, check_export
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.query_string import write_query
from pipeline.gateway.services import Services
from pipeline.query.exports import ExportPage, ExportRequest


class ExportResult(Struct, frozen=True):
    """Where the file is: it is made while it is read."""

    method: Literal["GET"]
    path: Annotated[
        str, Meta(description="On this server, with the params as its query string.")
    ]
    content_type: str


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Have the params checked by a worker, and write them as a query string."""
    del is_notification
    asked = check_export(bind(params, ExportRequest))
    given = msgspec.structs.asdict(asked)
    page = ExportPage(**given, check=True)
    await services.pool.ask("export", page)
    left_out = (None, False)
    chosen = {k: v for k, v in given.items() if not any(v is no for no in left_out)}
    path = f"/export?{write_query(chosen, NAMES)}"
    return msgspec.json.encode(ExportResult("GET", path, CONTENT_TYPES[asked.format]))


METHOD = Method(
    name="export",
    summary="The path under which all entries that match are a file.",
    params=ExportRequest,
    result=ExportResult,
    errors=QUERY_ERRORS,
    answer=answer,
)
