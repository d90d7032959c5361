"""`/export`: all entries that match, streamed page by page from the workers.

Each page is a question of its own. What a client has not read yet is one page at most,
and holds back nobody else; one that reads nothing for a minute is let go.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Raw

from pipeline.gateway.errors import (
    BUSY,
    INVALID_REQUEST,
    WORKER_LOST,
    RpcError,
    busy,
    refused,
    wrong_param,
)
from pipeline.gateway.lenient import first_byte, members
from pipeline.gateway.params import bind
from pipeline.gateway.pool import Pool
from pipeline.gateway.principal import Principal
from pipeline.gateway.query_string import Names, read_query
from pipeline.gateway.repeats import repeated_member
from pipeline.gateway.services import Note
from pipeline.gateway.split import MalformedError
from pipeline.query.exports import ExportPage, ExportPart, ExportRequest
from pipeline.scope import Scope

NAMES: Final = Names(
    ExportRequest.__struct_encode_fields__,
    lists=("sources", "levels", "tags", "fields"),
    numbers=("limit",),
    flags=("spreadsheet",),
)
CONTENT_TYPES: Final = {"ndjson": "application/x-ndjson", "csv": "text/csv"}

RETRY_SECONDS: Final = 30.0
"""A page that finds all workers busy is asked again for this long."""

STALL_SECONDS: Final = 60.0
WRITTEN_BYTES: Final = 256 << 10
"""A client takes so many bytes in that time, or is let go: it holds a place."""

FILTER_CHARACTERS: Final = 4_096
"""Of a filter, kept in the audit."""

_RETRY_MS: Final = 1_000
_log = logging.getLogger(__name__)


def _nobody(*_note: object) -> None:
    """Keeps no audit."""


class Exports:
    """The exports that run, at most so many at once."""

    def __init__(
        self,
        pool: Pool,
        most: int,
        counters: Counter[str],
        stall_seconds: float = STALL_SECONDS,
        note: Note = _nobody,
    ) -> None:
        self._pool = pool
        self.most = most
        self._counters = counters
        self._stall_seconds = stall_seconds
        self._note = note
        self._running = 0

    async def stream(
        self, request: web.Request, asked: ExportRequest, who: Principal
    ) -> web.StreamResponse:
        """Answer with the file; raises RpcError as long as nothing has been sent."""
        if self._running >= self.most:
            self._counters["export_busy"] += 1
            raise busy(f"{self._running} exports are running", _RETRY_MS)
        self._running += 1
        try:
            async with aclosing(self._parts(asked, who.scope)) as parts:
                first = await anext(parts)
                self._note("export", who, "exported", _said(asked))
                response = _response(asked)
                await response.prepare(request)
                await self._send(request, response, first, parts)
            return response
        finally:
            self._running -= 1

    async def _send(
        self,
        request: web.Request,
        response: web.StreamResponse,
        part: ExportPart,
        following: AsyncIterator[ExportPart],
    ) -> None:
        """All parts; after an error the connection ends without the last chunk."""
        try:
            await self._write(response, part)
            async for later in following:
                await self._write(response, later)
            await response.write_eof()
        except ConnectionError:
            self._counters["export_client_gone"] += 1
        except (RpcError, TimeoutError) as error:
            self._counters["export_aborted"] += 1
            _log.warning("export aborted: %s", error or "the client reads nothing")
            _end_early(request, at_once=isinstance(error, TimeoutError))
        else:
            self._counters["exported"] += 1

    async def _write(self, response: web.StreamResponse, part: ExportPart) -> None:
        text = memoryview(part.text.encode())
        for start in range(0, len(text), WRITTEN_BYTES):
            async with asyncio.timeout(self._stall_seconds):
                await response.write(bytes(text[start : start + WRITTEN_BYTES]))
        self._counters["exported_rows"] += part.rows

    async def _parts(
        self, asked: ExportRequest, scope: Scope
    ) -> AsyncGenerator[ExportPart, None]:
        """Page by page, the first even when nothing matches."""
        page = ExportPage(**msgspec.structs.asdict(asked))
        while True:
            part = await self._ask(page, scope)
            yield part
            left = None if page.limit is None else page.limit - part.rows
            if part.next_cursor is None or left == 0:
                return
            page = msgspec.structs.replace(page, cursor=part.next_cursor, limit=left)

    async def _ask(self, page: ExportPage, scope: Scope) -> ExportPart:
        """One page; later ones wait for a worker, so that the file needn't be cut."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (RETRY_SECONDS if page.cursor else 0)
        while True:
            try:
                text = await self._pool.ask("export", page, scope)
                return msgspec.json.decode(text, type=ExportPart)
            except RpcError as error:
                if error.code not in (BUSY, WORKER_LOST) or loop.time() >= end:
                    raise
            await asyncio.sleep(_RETRY_MS / 1000)


def read_pairs(pairs: Sequence[tuple[str, str]]) -> ExportRequest:
    """What a query string asks for; raises RpcError."""
    return check_export(bind(dict(read_query(pairs, NAMES)), ExportRequest))


def read_body(body: bytes) -> ExportRequest:
    """What a JSON body asks for; raises RpcError."""
    try:
        found = members(body) if first_byte(body) == b"{" else None
    except MalformedError as error:
        raise refused(INVALID_REQUEST, str(error), "JSON") from None
    if found is None:
        raise refused(INVALID_REQUEST, "not a map", "a map of params")
    if (twice := repeated_member(Raw(body), found)) is not None:
        raise wrong_param(twice[:256], "stands twice", "each param once")
    return check_export(bind(found, ExportRequest))


def check_export(asked: ExportRequest) -> ExportRequest:
    """The request, whose params fit each other; raises RpcError."""
    if asked.spreadsheet and asked.format != "csv":
        raise wrong_param("spreadsheet", "given without CSV", 'format "csv"')
    return asked


def _said(asked: ExportRequest) -> dict[str, Any]:
    """What was asked for, as the audit keeps it."""
    given = msgspec.structs.asdict(asked)
    shown = {name: value for name, value in given.items() if value}
    return {"filter": msgspec.json.encode(shown).decode()[:FILTER_CHARACTERS]}


def _response(asked: ExportRequest) -> web.StreamResponse:
    kind = CONTENT_TYPES[asked.format]
    response = web.StreamResponse(
        headers={
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Disposition": f'attachment; filename="logs.{asked.format}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
    )
    response.enable_chunked_encoding()
    return response


def _end_early(request: web.Request, *, at_once: bool) -> None:
    """Close without the last chunk, which tells the client that this isn't all.

    What was written are whole lines: they go out first, unless nobody reads them.
    """
    if request.transport is None:
        return
    if at_once:
        request.transport.abort()
    else:
        request.transport.close()
