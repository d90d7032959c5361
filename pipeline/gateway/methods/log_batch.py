"""`log_batch`: many entries in one call; a bad one costs only itself.

With `producer` and `sequence` the entries have numbers, and the same call may be made
again: it stores nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from pipeline.entry import Entry, encode_id
from pipeline.errors import EntryError
from pipeline.gateway.errors import BUSY, OUT_OF_ORDER, wrong_param
from pipeline.gateway.inflate import inflate
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.lenient import FLAWS, elements, first_byte
from pipeline.gateway.methods.entries import GivenEntry, read_entry
from pipeline.gateway.methods.method import Method
from pipeline.gateway.numbered import Numbers, Rows, check_rows
from pipeline.gateway.params import bind, by_name, check_names
from pipeline.gateway.services import Services
from pipeline.gateway.split import MalformedError
from pipeline.limits import NUMBER_MAX

ROWS_AT_ONCE: Final = 250
"""Entries checked before other calls get their turn: about 5 ms."""

LARGE_BYTES: Final = 256 << 10
"""Lists beyond this are cut on a thread: one with a flaw takes up to a second."""


Producer = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F]{32}$",
        description="32 hex digits, drawn at random for each session of a sender and"
        " never used again. With it and `sequence` a call may be repeated.",
    ),
]
Sequence = Annotated[
    int,
    Meta(
        ge=1,
        le=NUMBER_MAX - 1,
        description="The number of the first entry; numbers count a producer's entries"
        " from 1, and an entry keeps its number when it is sent again.",
    ),
]
Base = Annotated[
    int,
    Meta(
        ge=1,
        le=NUMBER_MAX - 1,
        description="The lowest number that can still come: what is missing below is"
        " counted as lost.",
    ),
]
DroppedTotal = Annotated[
    int,
    Meta(
        ge=0,
        le=NUMBER_MAX - 1,
        description="Entries that the sender has given up so far before they had a"
        " number; for the ledger.",
    ),
]


class NumberParams(Struct, kw_only=True):
    """The numbers of the entries."""

    producer: Producer | None = None
    sequence: Sequence | None = None
    base: Base | None = None
    dropped_total: DroppedTotal | None = None


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
    producer: Producer | None = None
    sequence: Sequence | None = None
    base: Base | None = 1
    dropped_total: DroppedTotal | None = 0
    ids: Annotated[
        bool | None, Meta(description="Whether the reply has the entries' ids.")
    ] = False


class Rejected(Struct):
    """One entry that was not stored."""

    index: Annotated[int, Meta(ge=0, description="Its place in `logs`, from 0.")]
    error: Annotated[str, Meta(description="The field, its problem, what is right.")]


class LogBatchResult(Struct):
    """Once all entries that could be accepted are on disk."""

    accepted: Annotated[int, Meta(ge=0, description="Entries that are stored.")]
    rejected: list[Rejected]
    durable: (
        Annotated[int, Meta(ge=0, description="The producer's highest number on disk.")]
        | UnsetType
    ) = UNSET
    duplicate: (
        Annotated[
            bool,
            Meta(
                description="Whether these numbers had come before: what came then is"
                " what is stored."
            ),
        ]
        | UnsetType
    ) = UNSET
    ids: (
        Annotated[
            list[str | None],
            Meta(description="In the order of `logs`; null for what was rejected."),
        ]
        | UnsetType
    ) = UNSET


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Store all entries that are right, say what is wrong with the others."""
    named = by_name(params, LogBatchParams.__struct_encode_fields__)
    check_names(named, LogBatchParams.__struct_encode_fields__)
    wants_ids = _flag(named, "ids")
    numbers = _numbers(named)
    if numbers is not None:
        return await _store(services, numbers, named, is_notification, wants_ids)
    pieces = await _list(named)
    rows, sizes, rejected = await _read(services, pieces)
    services.intake.rejected += len(rejected)
    stored = await services.intake.store_all(rows, sizes, wait=not is_notification)
    result = LogBatchResult(len(rows), rejected)
    if wants_ids:
        places = _places(len(pieces), rejected)
        result.ids = _ids(len(pieces), places, stored.identities())
    return msgspec.json.encode(result)


async def _store(
    services: Services,
    numbers: Numbers,
    named: dict[str, Raw],
    is_notification: bool,
    wants_ids: bool,
) -> bytes:
    """Entries with numbers, in the order of the calls; all of them, or none."""
    numbered = services.numbered
    async with numbered.turn(numbers.producer):
        pieces = await _list(named)
        check_rows(numbers.sequence, len(pieces))
        rows, sizes, rejected = await _read(services, pieces)
        places = _places(len(pieces), rejected)
        sent = await numbered.send(numbers, Rows(rows, places, len(pieces), sum(sizes)))
    result = LogBatchResult(len(rows), rejected)
    if not is_notification:
        ending = await numbered.wait(sent)
        result.durable, result.duplicate = ending.durable, ending.is_duplicate
    if wants_ids:
        producer, first = numbers.producer, numbers.sequence
        found = (
            encode_id(row.timestamp, producer, first + place)
            for row, place in zip(rows, places, strict=True)
        )
        result.ids = _ids(len(pieces), places, found)
    return msgspec.json.encode(result)


def _places(count: int, rejected: list[Rejected]) -> list[int]:
    """Where the entries that are right stood among so many."""
    bad = {entry.index for entry in rejected}
    return [place for place in range(count) if place not in bad]


def _ids(count: int, places: list[int], found: Iterable[str]) -> list[str | None]:
    """One for each place, None where there is no entry."""
    ids: list[str | None] = [None] * count
    for place, identity in zip(places, found, strict=False):
        ids[place] = identity
    return ids


def _numbers(named: dict[str, Raw]) -> Numbers | None:
    """What the params say of numbers, None if nothing; raises RpcError (-32602)."""
    known = NumberParams.__struct_encode_fields__
    given = bind({name: named[name] for name in known if name in named}, NumberParams)
    producer, sequence = given.producer, given.sequence
    if producer is None and sequence is None:
        for name in ("base", "dropped_total"):
            if getattr(given, name) is not None:
                raise wrong_param(name, "without producer", "producer and sequence")
        return None
    if producer is None:
        raise wrong_param("producer", "missing", "32 hex digits beside `sequence`")
    if sequence is None:
        raise wrong_param("sequence", "missing", "a number from 1 beside `producer`")
    base = 1 if given.base is None else given.base
    if base > sequence:
        raise wrong_param("base", f"{base}, above sequence", f"at most {sequence}")
    return Numbers(bytes.fromhex(producer), sequence, base, given.dropped_total or 0)


async def _read(
    services: Services, pieces: list[Raw]
) -> tuple[list[Entry], list[int], list[Rejected]]:
    """Entries, their sizes as JSON, and what is no entry."""
    now = services.clock_ns()
    rows: list[Entry] = []
    sizes: list[int] = []
    rejected: list[Rejected] = []
    for index, piece in enumerate(pieces):
        if index % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
            await asyncio.sleep(0)
        try:
            row = read_entry(piece, now)
            services.principal.check_source(row.source)
            rows.append(row)
            sizes.append(len(memoryview(piece)))
        except EntryError as error:
            rejected.append(Rejected(index, str(error)))
    return rows, sizes, rejected


async def _list(named: dict[str, Raw]) -> list[Raw]:
    """The entries, undecoded; raises RpcError."""
    compress = _flag(named, "compress")
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


def _flag(named: dict[str, Raw], name: str) -> bool:
    text = named.get(name, Raw(b"false"))
    try:
        return bool(msgspec.json.decode(text, type=bool | None))
    except FLAWS:
        shown = bytes(text)[:60].decode("utf-8", "replace")
        raise wrong_param(name, shown, "true or false") from None


METHOD = Method(
    name="log_batch",
    summary="Store many entries; a bad one costs only itself.",
    params=LogBatchParams,
    result=LogBatchResult,
    errors=(BUSY, OUT_OF_ORDER),
    answer=answer,
)
