"""A block: the rows of one commit as columns, and the header that queries see first.

The header holds rows, times, the counts per (minute, source, level) and the producer
runs, so that most questions are answered, or the block passed over, without opening it.
The byte layouts of counts and runs stand in FORMAT.md.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from pipeline.batch.decode import Batch
from pipeline.batch.distinct import distinct
from pipeline.batch.joined import pack_parts, parse_block
from pipeline.batch.layout import LEVEL, SOURCE, TIMESTAMP
from pipeline.batch.read import Ints, bad, read_integers
from pipeline.batch.seal import integers, seal
from pipeline.compression import FAST_LEVEL
from pipeline.errors import FrameError, StoreError
from pipeline.limits import BLOCK_BYTES
from pipeline.store.commits import Commits, single_commit
from pipeline.store.runs import Part, Runs, pack_runs, parse_runs
from pipeline.store.sections import pack_sections, read_sections

__all__ = ["Block", "Part", "Runs", "parse_runs", "seal_block"]

MINUTE: Final = 60_000_000_000
"""Nanoseconds of a minute, the width of a cell of the counts."""

CELLS_MAX: Final = 4096
"""Cells of (minute, source, level) kept; above, only totals per (source, level)."""

KEPT_ROWS: Final = 500
"""Rows of a batch, on average, from which a block keeps them as they came: joining
smaller ones costs little and makes the block half as large."""

_ESCAPE: Final = re.compile(r"\\(.)")
_HEADER: Final = struct.Struct("<IqqI")
"""What the header's CRC covers before counts and runs: rows, minimum, maximum, data's
CRC."""

_PLACE: Final = struct.Struct("<4q")
"""What it covers behind them: id, committed, tier, bytes."""


class Counts(NamedTuple):
    """Entries per cell; `minutes` is None where only totals are kept."""

    minutes: Ints | None
    sources: list[str]
    source_codes: Ints
    levels: Ints
    counts: Ints


@dataclass(frozen=True, slots=True)
class Sealed:
    """A block ready to be committed."""

    rows: int
    minimum: int
    maximum: int
    counts: bytes
    runs: bytes
    data: bytes
    data_crc: int
    header_crc: int
    """Of the header without its place, see `place_checksum`."""

    cells: list[tuple[int, str, int, int]]
    """(second, source, level, count), for those who follow the stream."""


def seal_block(parts: Sequence[Part], level: int = FAST_LEVEL) -> Sealed:
    """One block of all parts' rows, in their order."""
    data = _data([part.batch for part in parts], level)
    times = np.concatenate([_numbers(part.batch, TIMESTAMP) for part in parts])
    cells = count_cells([part.batch for part in parts], times)
    counts, runs = pack_counts(cells), pack_runs(parts)
    rows, low, high = len(times), int(times.min()), int(times.max())
    data_crc = crc32(data)
    header_crc = header_checksum(rows, low, high, data_crc, counts, runs)
    seconds = _by_second(cells)
    return Sealed(rows, low, high, counts, runs, data, data_crc, header_crc, seconds)


def _data(batches: Sequence[Batch], level: int) -> bytes:
    """As the batches came when they are large and compressed, else sealed as one."""
    rows = sum(batch.rows for batch in batches)
    if rows >= KEPT_ROWS * len(batches) and all(each.is_compressed for each in batches):
        return pack_parts(batches)
    return seal(batches, level)


def header_checksum(
    rows: int, low: int, high: int, data_crc: int, counts: bytes, runs: bytes
) -> int:
    """CRC over everything of the header that a query believes."""
    return crc32(runs, crc32(counts, crc32(_HEADER.pack(rows, low, high, data_crc))))


def place_checksum(
    block_id: int, committed: int, tier: int, size: int, header: int
) -> int:
    """The header's CRC goes on over what only the commit knows."""
    return crc32(_PLACE.pack(block_id, committed, tier, size), header)


def _numbers(batch: Batch, name: str) -> npt.NDArray[Any]:
    return batch.columns[name].numbers


class _Cells(NamedTuple):
    sources: list[str]
    seconds: Ints
    codes: Ints
    levels: Ints
    counts: Ints


def count_cells(batches: Sequence[Batch], times: Ints) -> _Cells:
    """Entries per (second, source, level)."""
    names: dict[str, int] = {}
    codes = []
    for batch in batches:
        column = batch.columns[SOURCE]
        table = [names.setdefault(name, len(names)) for name in column.dictionary]
        codes.append(np.array(table, np.int64)[column.codes])
    levels = np.concatenate([_numbers(batch, LEVEL) for batch in batches])
    seconds = times // 1_000_000_000
    low = int(seconds.min())
    # One integer a row: at most 35 bits of seconds, 16 of source and 5 of level.
    keys = ((seconds - low) << 21) + (np.concatenate(codes) << 5) + levels
    found, counts = np.unique(keys, return_counts=True)
    return _Cells(
        list(names), (found >> 21) + low, (found >> 5) & 0xFFFF, found & 31, counts
    )


def _by_second(cells: _Cells) -> list[tuple[int, str, int, int]]:
    sources = map(cells.sources.__getitem__, cells.codes.tolist())
    rest = (cells.levels.tolist(), cells.counts.tolist())
    return list(zip(cells.seconds.tolist(), sources, *rest, strict=True))


def pack_counts(cells: _Cells) -> bytes:
    """Counts per minute; totals alone when there are more than CELLS_MAX cells."""
    minutes = cells.seconds // 60
    low = int(minutes.min())
    keys = ((minutes - low) << 21) + (cells.codes << 5) + cells.levels
    by_minute = len(distinct(keys)) <= CELLS_MAX
    if not by_minute:
        keys &= (1 << 21) - 1
    found, places = np.unique(keys, return_inverse=True)
    counts = np.bincount(places, cells.counts).astype(np.int64)
    names = "\n".join(
        name.replace("\\", "\\\\").replace("\n", "\\n") for name in cells.sources
    )
    sections = [
        integers((found >> 21) + low) if by_minute else b"",
        integers((found >> 5) & 0xFFFF),
        integers(found & 31),
        integers(counts),
        names.encode(),
    ]
    return pack_sections(len(found), sections)


def parse_counts(data: bytes) -> Counts:
    """Counts from a header; raises FrameError."""
    size, sections = read_sections(data, 5)
    minutes, codes, levels, counts = (
        read_integers(section, size) if len(section) else None
        for section in sections[:4]
    )
    if codes is None or levels is None or counts is None:
        raise bad("counts without a column")
    try:
        text = bytes(sections[4]).decode()
    except UnicodeDecodeError as error:
        raise bad(f"sources that are no UTF-8: {error.reason}") from None
    names = [
        _ESCAPE.sub(_unescape, name) if "\\" in name else name
        for name in text.split("\n")
    ]
    return Counts(minutes, names, codes, levels, counts)


def _unescape(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


class Block:
    """A committed block: its rows as a Batch, and who sent each row."""

    tier = 0

    def __init__(
        self, block_id: int, data: bytes, runs: bytes, committed: int = 0
    ) -> None:
        self.id = self.first = self.last = block_id
        self.committed = committed
        self._runs_data = runs
        try:
            self.batch = parse_block(data, BLOCK_BYTES)
        except FrameError as error:
            raise StoreError(f"block {block_id} can't be read: {error}") from None
        self.rows = self.batch.rows

    @cached_property
    def runs(self) -> Runs:
        """The producer runs."""
        return parse_runs(self._runs_data)

    @cached_property
    def commits(self) -> Commits:
        """The commits that its rows came with."""
        return single_commit(self.id, self.rows)

    def rows_between(self, after: int, mark: int) -> tuple[int, int]:
        """The range of rows of commits above `after` and up to `mark`."""
        return self.commits.rows_between(after, mark)

    @cached_property
    def _ends(self) -> Ints:
        return np.cumsum(self.runs.rows)

    def identities(self, indices: Ints) -> list[tuple[bytes, int]]:
        """(producer, number) of the given rows."""
        places = np.searchsorted(self._ends, indices, "right")
        codes, numbers = self._numbered(places, indices)
        producers = map(self.runs.producers.__getitem__, codes.tolist())
        return list(zip(producers, numbers.tolist(), strict=True))

    def order_keys(self) -> tuple[Ints, Ints]:
        """Per row: the producer's rank (by its bytes) in this block, and the number."""
        places = np.repeat(np.arange(len(self._ends)), self.runs.rows)
        codes, numbers = self._numbered(places, np.arange(self.rows))
        order = np.argsort(np.array(self.runs.producers, "S16"), kind="stable")
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order))
        return ranks[codes], numbers

    def _numbered(self, places: Ints, indices: Ints) -> tuple[Ints, Ints]:
        starts = self._ends[places] - self.runs.rows[places]
        return self.runs.codes[places], self.runs.firsts[places] + indices - starts
