"""Who sent each row of a block: runs of numbers that one producer gave in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.batch.decode import Batch, Mask
from pipeline.batch.read import Ints, read_integers
from pipeline.batch.seal import integers
from pipeline.store.sections import pack_sections, read_sections


class Part(NamedTuple):
    """A batch on its way into a block, with the numbers of its rows."""

    batch: Batch
    producer: bytes
    sequence: int
    offsets: Ints | None


class Runs(NamedTuple):
    """Rows that one producer numbered one after another, in the block's row order."""

    producers: list[bytes]
    codes: Ints
    firsts: Ints
    rows: Ints


def pack_runs(parts: Sequence[Part]) -> bytes:
    """Producer runs of all parts; neighbours that go on are one run."""
    codes: dict[bytes, int] = {}
    runs: list[list[int]] = []
    for part in parts:
        code = codes.setdefault(part.producer, len(codes))
        for first, rows in _stretches(part):
            last = runs[-1] if runs else None
            if last and last[0] == code and last[1] + last[2] == first:
                last[2] += rows
            else:
                runs.append([code, first, rows])
    columns = np.array(runs, np.int64).T
    sections = [integers(np.ascontiguousarray(column)) for column in columns]
    return pack_sections(len(runs), [*sections, b"".join(codes)])


def _stretches(part: Part) -> list[tuple[int, int]]:
    """(first number, rows) of each stretch of rows numbered one after another."""
    if part.offsets is None:
        return [(part.sequence, part.batch.rows)]
    borders = np.flatnonzero(np.diff(part.offsets) != 1) + 1
    starts = np.concatenate([[0], borders])
    sizes = np.diff(np.concatenate([starts, [part.batch.rows]]))
    firsts = part.offsets[starts] + part.sequence
    return list(zip(firsts.tolist(), sizes.tolist(), strict=True))


def parse_runs(data: bytes) -> Runs:
    """Runs from a header; raises FrameError."""
    size, sections = read_sections(data, 4)
    codes, firsts, rows = (read_integers(section, size) for section in sections[:3])
    joined = bytes(sections[3])
    producers = [joined[at : at + 16] for at in range(0, len(joined), 16)]
    return Runs(producers, codes, firsts, rows)


def join_runs(blocks: Sequence[Runs], keep: Sequence[Mask | None]) -> bytes:
    """The runs of the rows that are kept of blocks, one block after another."""
    places: dict[bytes, int] = {}
    codes, numbers = [], []
    for runs, mask in zip(blocks, keep, strict=True):
        known = [places.setdefault(each, len(places)) for each in runs.producers]
        row_codes = np.repeat(np.array(known, np.int64)[runs.codes], runs.rows)
        starts = np.cumsum(runs.rows) - runs.rows
        row_numbers = np.repeat(runs.firsts - starts, runs.rows)
        row_numbers = row_numbers + np.arange(len(row_numbers))
        codes.append(row_codes if mask is None else row_codes[mask])
        numbers.append(row_numbers if mask is None else row_numbers[mask])
    return _pack_rows(list(places), np.concatenate(codes), np.concatenate(numbers))


def _pack_rows(producers: list[bytes], codes: Ints, numbers: Ints) -> bytes:
    """Runs of rows of which the producer's place and the number are known."""
    breaks = (np.diff(codes) != 0) | (np.diff(numbers) != 1)
    starts = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    sizes = np.diff(np.concatenate([starts, [len(codes)]]))
    used, firsts = np.unique(codes[starts], return_inverse=True)
    named = [producers[place] for place in used.tolist()]
    columns = (firsts.astype(np.int64), numbers[starts], sizes)
    sections = [integers(column) for column in columns]
    return pack_sections(len(starts), [*sections, b"".join(named)])


def entries_by_producer(runs: Runs) -> dict[bytes, int]:
    """How many rows of the block each producer sent."""
    totals = np.bincount(runs.codes, runs.rows, len(runs.producers)).astype(np.int64)
    return dict(zip(runs.producers, totals.tolist(), strict=True))
