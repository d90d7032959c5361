"""Counts out of the headers of many blocks at once, kept between questions.

A cell is how many entries a block has of one minute, source and level. Cells of all
blocks have one table of sources, so that a question about 1,000 blocks is a few
operations on a few arrays, not 1,000 small ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.query.scan import Scan
from pipeline.query.text import Ints
from pipeline.store.block import MINUTE, Counts
from pipeline.store.kept import Kept
from pipeline.store.reader import Header

KEPT: Final = 500_000
"""Cells kept, of 17 bytes each."""

SOURCES_KEPT: Final = 1 << 16
"""Names of sources, of some 150 bytes each, that a question finds here: with more of
them, it begins anew."""

RESTS_BYTES: Final = 4 << 20
"""Of patterns kept: a full block of prose has 300 KB."""


class _Kept(NamedTuple):
    times: Ints
    by_minute: bool
    codes: npt.NDArray[np.int32]
    levels: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.int32]


class Cells(NamedTuple):
    """What the headers of blocks count, as one."""

    times: Ints
    """A time of each cell, within its minute and its block."""
    counts: Counts


class CellStore:
    """The cells of the blocks asked last."""

    def __init__(self) -> None:
        self._sources: dict[str, int] = {}
        self._blocks: OrderedDict[int, _Kept] = OrderedDict()
        self._total = 0
        self.rests: Kept[tuple[Any, ...]] = Kept(RESTS_BYTES)
        """Patterns of rows that a block has no template for, by block."""

    def clear(self) -> None:
        """Forget all: another file has taken the database's place."""
        self._forget_cells()
        self.rests.clear()

    def _forget_cells(self) -> None:
        self._sources.clear()
        self._blocks.clear()
        self._total = 0

    def gather(
        self, scan: Scan, headers: Sequence[Header], width: int | None
    ) -> tuple[Cells, list[Header]]:
        """The matching cells of the blocks whose headers tell, and the other blocks.

        `width` is that of the spans of time (ns) which cells may not cross.
        """
        if len(self._sources) > SOURCES_KEPT:
            self._forget_cells()
        wanted = scan.plan.filter
        found, rest = [], []
        for header in headers:
            if not (wanted.exact and scan.covers(header)):
                rest.append(header)
                continue
            cells = self._of(scan, header)
            if cells is None:
                continue
            if width is None or _fits(header, cells, width):
                found.append(cells)
            else:
                rest.append(header)
        return self._match(scan, found), rest

    def _match(self, scan: Scan, found: list[_Kept]) -> Cells:
        none = np.empty(0, np.int64)
        if not found:
            return Cells(none, Counts(None, [], none, none, none))
        times = np.concatenate([cells.times for cells in found])
        codes = np.concatenate([cells.codes for cells in found])
        levels = np.concatenate([cells.levels for cells in found])
        numbers = np.concatenate([cells.counts for cells in found])
        counts = Counts(None, list(self._sources), codes, levels, numbers)
        wanted = scan.plan.filter
        if wanted.prunes:
            mask = wanted.cells(counts)
            times, codes = times[mask], codes[mask]
            levels, numbers = levels[mask], numbers[mask]
        return Cells(
            times, counts._replace(source_codes=codes, levels=levels, counts=numbers)
        )

    def _of(self, scan: Scan, header: Header) -> _Kept | None:
        kept = self._blocks.get(header.id)
        if kept is not None:
            self._blocks.move_to_end(header.id)
            return kept
        counts = scan.maybe_counts(header)
        if counts is None:
            return None
        table = [
            self._sources.setdefault(name, len(self._sources))
            for name in counts.sources
        ]
        times = np.full(len(counts.counts), header.minimum, np.int64)
        if counts.minutes is not None:
            # the very first minute of int64 begins before int64 does
            later = counts.minutes > header.minimum // MINUTE
            times[later] = counts.minutes[later] * MINUTE
        kept = _Kept(
            times,
            counts.minutes is not None,
            np.array(table, np.int32)[counts.source_codes],
            counts.levels.astype(np.uint8),
            counts.counts.astype(np.int32),
        )
        self._blocks[header.id] = kept
        self._total += len(times)
        while self._total > KEPT and len(self._blocks) > 1:
            _, gone = self._blocks.popitem(last=False)
            self._total -= len(gone.times)
        return kept


def _fits(header: Header, cells: _Kept, width: int) -> bool:
    """Whether no cell of the block is in two spans."""
    if header.minimum // width == header.maximum // width:
        return True
    return cells.by_minute and width % MINUTE == 0
