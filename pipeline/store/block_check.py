"""Is a block what was written, and is its header true of its rows? All of it is read.

Beyond the checksums: the counts are counted again, the times and templates compared
with the rows, the filter's pieces with what there must be.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final
from zlib import crc32

import numpy as np

from pipeline.batch.decode import Batch
from pipeline.batch.layout import MESSAGE, TIMESTAMP
from pipeline.batch.read import Ints
from pipeline.errors import FrameError, StoreError
from pipeline.store import chain, compacted
from pipeline.store.block import (
    Block,
    Counts,
    count_cells,
    pack_counts,
    parse_counts,
)
from pipeline.store.bound import CRC_BYTES, is_sound
from pipeline.store.chain import Held
from pipeline.store.columns import parse_directory
from pipeline.store.cuts import sizes
from pipeline.store.headers import Checked, check_compacted, check_header
from pipeline.store.message_column import MessageColumn
from pipeline.store.opened import CompactedBlock, Covered
from pipeline.store.patterns import parse_patterns
from pipeline.store.rows_of_block import BlockRows, filter_keys
from pipeline.store.schema import COMPACTED

_BLOBS: Final = ("counts", "patterns", "directory", "runs", "commits")
_Damage = (StoreError, FrameError, ValueError, IndexError, OverflowError, struct.error)


CHANGED: Final = "it is not the block that the chain has: it was changed"


def check_block(
    rows: BlockRows, held: Held | None, *, is_deep: bool = True
) -> list[str]:
    """What is wrong with a block, in words; `held` is what the chain has of it.

    Unless it `is_deep`, only checksums are compared.
    """
    is_fresh = rows.header[0] < COMPACTED
    try:
        found = list(_fresh(rows) if is_fresh else _compacted(rows))
        if is_deep and not found:
            found = list(_content_of(rows))
        if held is not None and not found:
            is_same = digests_of(rows)[held.is_whole] == held.digest
            return [] if is_same else [CHANGED]
    except _Damage as error:
        named = rf"^block {rows.header[0]}(:| is damaged:) "
        return [re.sub(named, "", str(error))]
    return found


def templates_of(rows: BlockRows) -> dict[int, bytes]:
    """The templates of a sound block's messages by id; raises FrameError."""
    if rows.header[0] < COMPACTED:
        return {}
    messages = _opened(rows).batch.columns[MESSAGE]
    if not isinstance(messages, MessageColumn):
        return {}
    ids = parse_patterns(_blob(rows, "patterns")).ids.tolist()
    return dict(zip(ids, messages.templates, strict=True))


def _fresh(rows: BlockRows) -> Iterator[str]:
    *_, data_crc, _, _, data = rows.header
    head = Checked(*rows.header[:7], *rows.header[8:12])
    check_header(head)
    if type(data) is not bytes or crc32(data) != data_crc:
        yield "its data's CRC is wrong"
        return
    if len(data) != head.size:
        yield f"it has {len(data)} bytes; its header says {head.size}"


def _compacted(rows: BlockRows) -> Iterator[str]:
    fixed, (header_crc, checksums) = rows.header[:9], rows.header[9:11]
    check_compacted(list(fixed), header_crc, checksums)
    crcs = compacted.CHECKSUMS.unpack(checksums)
    for name, crc in zip(_BLOBS, crcs, strict=True):
        if crc32(_blob(rows, name)) != crc:
            yield f"its {name}' CRC is wrong"
    yield from _pieces(rows)


def _content_of(rows: BlockRows) -> Iterator[str]:
    """Whether the header is true of the rows."""
    header = rows.header
    if header[0] < COMPACTED:
        block = Block(header[0], header[12], header[11], header[1])
        yield from _content(block, header[3], (header[5], header[6]), header[10])
        return
    block = _opened(rows)
    times = (header[7], header[8])
    yield from _content(block, header[5], times, _blob(rows, "counts"))
    yield from _templates(rows, block)


def _pieces(rows: BlockRows) -> Iterator[str]:
    """Of segments and filter: each there, as large as it must be, and sound."""
    number = rows.header[0] - COMPACTED
    wanted = sizes(number, rows.header[6])
    there = dict(rows.segments)
    for place, (key, size) in enumerate(wanted.items(), 1):
        name = f"part {place} of {len(wanted)} of its columns"
        if key not in there:
            yield f"{name} is not there"
        elif len(there[key]) != size or not is_sound(key, there[key]):
            yield f"{name}: its CRC is wrong"
    filters = dict(rows.filters)
    for place, key in enumerate(filter_keys(number), 1):
        name = f"piece {place} of its filter"
        if key not in filters:
            yield f"{name} is not there: it is searched as if it had none"
        elif not is_sound(key, filters[key]):
            yield f"{name}: its CRC is wrong; it is searched as if it had none"


def _content(
    block: Block, rows: int, times: tuple[int, int], counts: bytes
) -> Iterator[str]:
    batch = block.batch
    if block.rows != rows:
        yield f"it has {block.rows} rows; its header says {rows}"
        return
    for column in batch.columns.values():
        len(column.data)  # that it can be read at all
    seen = batch.columns[TIMESTAMP].numbers.astype(np.int64)
    if (int(seen.min()), int(seen.max())) != times:
        yield "its times are not those of its rows"
    if _cells(parse_counts(counts)) != _counted(batch, seen):
        yield "its counts are not those of its rows"
    if int(block.runs.rows.sum()) != rows:
        yield "its producers' runs are not those of its rows"
    if int(block.commits.rows.sum()) != rows:
        yield "its commits are not those of its rows"


def _counted(batch: Batch, times: Ints) -> dict[Any, int]:
    return _cells(parse_counts(pack_counts(count_cells([batch], times))))


def _cells(counts: Counts) -> dict[Any, int]:
    minutes: Sequence[Any]
    minutes = (
        [None] * len(counts.counts)
        if counts.minutes is None
        else counts.minutes.tolist()
    )
    columns = (
        counts.source_codes.tolist(),
        counts.levels.tolist(),
        counts.counts.tolist(),
    )
    return {
        (minute, counts.sources[code], level): count
        for minute, code, level, count in zip(minutes, *columns, strict=True)
    }


def _templates(rows: BlockRows, block: Block) -> Iterator[str]:
    messages = block.batch.columns[MESSAGE]
    if not isinstance(messages, MessageColumn):
        return
    patterns = parse_patterns(_blob(rows, "patterns"))
    found = np.bincount(messages.codes, minlength=len(patterns.ids) + 1)
    if found.tolist() != [patterns.rest, *patterns.counts.tolist()]:
        yield "its patterns are not those of its messages"
    if len(messages.templates) != len(patterns.ids):
        yield "it has not as many templates as patterns"


def digests_of(rows: BlockRows) -> tuple[bytes, bytes]:
    """The digests that a chain may have of a block: of its numbers, and of all."""
    header = rows.header
    if header[0] < COMPACTED:
        head = chain.fresh_head(*header[:7], *header[8:10])
        parts = [[header[10]], [header[11]], [header[12]]]
    else:
        head = chain.compacted_head(header[:9], header[9], header[10])
        columns = [data[CRC_BYTES:] for _, data in rows.segments]
        parts = [*([_blob(rows, name)] for name in _BLOBS), columns]
    return chain.digest_of(head), chain.digest_of(head, *parts)


def _blob(rows: BlockRows, name: str) -> bytes:
    blob = rows.header[11 + _BLOBS.index(name)]
    if type(blob) is not bytes:
        raise StoreError(f"its {name} are no bytes")
    return blob


def _opened(rows: BlockRows) -> Block:
    def column(offset: int, size: int) -> bytes:
        return stream[offset : offset + size]

    stream = b"".join(data[CRC_BYTES:] for _, data in rows.segments)
    directory = parse_directory(_blob(rows, "directory"))
    fixed = Covered(*rows.header[:9])
    return CompactedBlock(fixed, directory, lambda name: _blob(rows, name), column)
