"""`log_batch`: many entries in one call; a bad one costs only itself."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from pipeline.entry import Entry
from pipeline.errors import EntryError
from pipeline.gateway.errors import BUSY, wrong_param
from pipeline.gateway.inflate import inflate
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.lenient import FLAWS, elements, first_byte
from pipeline.gateway.methods.entries import GivenEntry, read_entry
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import by_name, check_names
from pipeline.gateway.services import Services
from pipeline.gateway.split import MalformedError

ROWS_AT_ONCE: Final = 250
"""Entries checked before other calls get their turn: about 5 ms."""

LARGE_BYTES: Final = 256 << 10
"""Lists beyond this are cut on a thread: one with a flaw takes up to a second."""


class LogBatchParams(Struct, kw_only=True, forbid_unknown_fields=True):
    """Entries, as a list or as text that holds it compressed."""

    logs: Annotated[
        list[GivenEntry] | str,
        Meta(
            description="The entries. With `compress`, base64 of a gzip or zstd frame"
            " that holds the list as JSON."
        ),
    ]
    compress: Annotated[
        bool, Meta(description="Whether `logs` may be compressed; see there.")
    ] = False


class Rejected(Struct):
    """One entry that was not stored."""

    index: Annotated[int, Meta(ge=0, description="Its place in `logs`, from 0.")]
    error: Annotated[str, Meta(description="The field, its problem, what is right.")]


class LogBatchResult(Struct):
    """Once all entries that could be accepted are on disk."""

    accepted: Annotated[int, Meta(ge=0, description="Entries that are stored.")]
    rejected: list[Rejected]


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Store all entries that are right, say what is wrong with the others."""
    rows, sizes, rejected = await _read(await _list(params), services.clock_ns())
    services.intake.rejected += len(rejected)
    await services.intake.store_all(rows, sizes, wait=not is_notification)
    return msgspec.json.encode(LogBatchResult(len(rows), rejected))


async def _read(
    pieces: list[Raw], now: int
) -> tuple[list[Entry], list[int], list[Rejected]]:
    """Entries, their sizes as JSON, and what is no entry."""
    rows: list[Entry] = []
    sizes: list[int] = []
    rejected: list[Rejected] = []
    for index, piece in enumerate(pieces):
        if index % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
            await asyncio.sleep(0)
        try:
            rows.append(read_entry(piece, now))
            sizes.append(len(memoryview(piece)))
        except EntryError as error:
            rejected.append(Rejected(index, str(error)))
    return rows, sizes, rejected


async def _list(params: Params) -> list[Raw]:
    """The entries, undecoded; raises RpcError."""
    named = by_name(params, LogBatchParams.__struct_encode_fields__)
    check_names(named, LogBatchParams.__struct_encode_fields__)
    compress = _flag(named.get("compress", Raw(b"false")))
    logs = named.get("logs")
    if logs is None:
        raise wrong_param("logs", "missing", "a list of entries")
    kind = first_byte(logs)
    if kind == b"[":
        return await _elements(logs)
    if kind != b'"':
        raise wrong_param("logs", "neither a list nor text", "a list of entries")
    if not compress:
        raise wrong_param("logs", "text", 'a list, or "compress": true with base64')
    text = await asyncio.to_thread(inflate, logs)
    if first_byte(text) != b"[":
        raise wrong_param("logs", "its content is no list", "a list of entries")
    return await _elements(Raw(text))


async def _elements(logs: Raw) -> list[Raw]:
    try:
        if len(memoryview(logs)) > LARGE_BYTES:
            return await asyncio.to_thread(elements, logs)
        return elements(logs)
    except MalformedError as error:
        raise wrong_param("logs", str(error), "a list of entries") from None


def _flag(text: Raw) -> bool:
    try:
        return msgspec.json.decode(text, type=bool)
    except FLAWS:
        shown = bytes(text)[:60].decode("utf-8", "replace")
        raise wrong_param("compress", shown, "true or false") from None


METHOD = Method(
    name="log_batch",
    summary="Store many entries; a bad one costs only itself.",
    params=LogBatchParams,
    result=LogBatchResult,
    errors=(BUSY,),
    answer=answer,
)
