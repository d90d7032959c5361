"""What a reply says of the patterns that it lists: their course, where, an example.

Strategy: only blocks that have one of them are opened, each once; of their messages
only the codes are read, but where a listed pattern is among a block's rare ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.batch.column import Column
from pipeline.batch.distinct import difference, distinct
from pipeline.batch.layout import LEVEL, MESSAGE, SOURCE
from pipeline.errors import FrameError
from pipeline.level import LEVEL_NAMES
from pipeline.query.aggregate.patterns import BlockSeen, PatternCount, Seen
from pipeline.query.aggregate.row_patterns import row_ids
from pipeline.query.cursor import Key
from pipeline.query.requests import REPLY_BYTES, FieldError
from pipeline.query.rows import Renderer
from pipeline.query.scan import Scan
from pipeline.query.stats import Buckets
from pipeline.query.text import Ints, Mask
from pipeline.query.view import View
from pipeline.store.message_column import MessageColumn
from pipeline.store.reader import Header
from pipeline.store.templates import Ids

PAIRS_MAX: Final = 1_000_000
"""Pairs of a pattern and a source."""

_LEVELS: Final = 256


@dataclass(slots=True)
class _Newest:
    """Where the newest entry of a pattern is."""

    key: Key
    header: Header
    place: int


class Details:
    """Of some patterns, in the order of `chosen`."""

    def __init__(self, scan: Scan, chosen: Seen, grid: Buckets) -> None:
        self._scan, self._chosen, self._grid = scan, chosen, grid
        self._order = np.argsort(chosen.ids)
        self._ids = chosen.ids[self._order]
        size = len(chosen.ids)
        self.trends = np.zeros((size, grid.size), np.int64)
        self.sources: list[Counter[str]] = [Counter() for _ in range(size)]
        self._levels = np.zeros((size, _LEVELS), np.int64)
        self._newest: dict[int, _Newest] = {}
        self._pairs = 0

    def run(self, count: PatternCount) -> None:
        """Look at the blocks that have them; raises CostError and CancelledError."""
        for block in count.blocks:
            here = np.isin(self._chosen.ids, block.ids)
            if not here.any():
                continue
            matched = self._scan.match(block.header)
            if matched is None:
                continue
            try:
                self._look(block, *matched)
            except FrameError:
                self._scan.damaged.add(block.header.id)

    def levels(self, place: int) -> dict[str, int]:
        """Entries of each level that the pattern has, the most frequent first."""
        found: Counter[str] = Counter()
        counts = self._levels[place]
        for number in np.flatnonzero(counts).tolist():
            found[LEVEL_NAMES.get(number, str(number))] += int(counts[number])
        return dict(found.most_common())

    def examples(self) -> list[bytes | None]:
        """The newest entry of each as JSON; those beyond a reply's bytes are left out.

        Each block is opened once for all examples that it has.
        """
        found: list[bytes | None] = [None] * len(self._chosen.ids)
        by_block: dict[Header, list[int]] = {}
        for place, newest in self._newest.items():
            by_block.setdefault(newest.header, []).append(place)
        renderer, room = Renderer(None), REPLY_BYTES
        for header, places in by_block.items():
            view = self._scan.open(header)
            if view is None:
                continue
            for place in places:
                if room <= 0:
                    return found
                (row,) = renderer.rows(view, np.array([self._newest[place].place]))
                room -= len(row.json)
                found[place] = row.json
        return found

    def _look(self, block: BlockSeen, view: View, mask: Mask) -> None:
        rows, places = self._rows(block, view, mask)
        if not len(rows):
            return
        times = view.timestamps()[rows]
        if self._grid.size:
            cells = places * self._grid.size + times // self._grid.width
            self.trends += _counts(cells - self._grid.first, self.trends.shape)
        levels = view.batch.columns[LEVEL].numbers[rows]
        self._levels += _counts(places * _LEVELS + levels, self._levels.shape)
        self._add_sources(view, rows, places)
        self._add_newest(block.header, view, rows, places)

    def _rows(self, block: BlockSeen, view: View, mask: Mask) -> tuple[Ints, Ints]:
        """The matching rows of the chosen patterns, and which each has."""
        column = view.batch.columns[MESSAGE]
        if not isinstance(column, MessageColumn):
            return self._chosen_of(column, np.flatnonzero(mask))
        table = np.append(np.int64(-1), self._places(column.pattern_ids))
        found = table[column.codes]
        rows = np.flatnonzero(mask & (found >= 0))
        places = found[rows]
        rare = difference(self._ids[np.isin(self._ids, block.ids)], column.pattern_ids)
        if not len(rare):
            return rows, places
        more = self._chosen_of(column, np.flatnonzero(mask & (column.codes == 0)))
        return np.concatenate([rows, more[0]]), np.concatenate([places, more[1]])

    def _chosen_of(self, column: Column, rows: Ints) -> tuple[Ints, Ints]:
        places = self._places(row_ids(column, rows))
        some = places >= 0
        return rows[some], places[some]

    def _places(self, ids: Ids) -> Ints:
        """Where each stands among the chosen ones, -1 if it doesn't."""
        at = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        found: Ints = np.where(self._ids[at] == ids, self._order[at], -1)
        return found

    def _add_sources(self, view: View, rows: Ints, places: Ints) -> None:
        column = view.batch.columns[SOURCE]
        names = column.dictionary
        pairs = places * len(names) + column.codes[rows]
        unique, counts = np.unique(pairs, return_counts=True)
        for pair, count in zip(unique.tolist(), counts.tolist(), strict=True):
            place, code = divmod(pair, len(names))
            sources = self.sources[place]
            self._pairs += names[code] not in sources
            sources[names[code]] += count
        if self._pairs > PAIRS_MAX:
            problem = f"more than {PAIRS_MAX:,} pairs of a pattern and a source"
            raise FieldError("limit", problem, hint="ask for fewer patterns")

    def _add_newest(self, header: Header, view: View, rows: Ints, places: Ints) -> None:
        last = view.timestamps()[rows] == self._chosen.last[places]
        rows, places = rows[last], places[last]
        if not len(rows):
            return
        if len(distinct(places)) < len(places):
            ranks, numbers = view.block.order_keys()
            order = np.lexsort((numbers[rows], ranks[rows], places))
            rows, places = rows[order], places[order]
            ends = np.append(places[1:] != places[:-1], True)
            rows, places = rows[ends], places[ends]
        times = self._chosen.last[places].tolist()
        identities = view.block.identities(rows)
        for place, time, row, identity in zip(
            places.tolist(), times, rows.tolist(), identities, strict=True
        ):
            key = (time, *identity)
            known = self._newest.get(place)
            if known is None or key > known.key:
                self._newest[place] = _Newest(key, header, row)


def _counts(cells: Ints, shape: tuple[int, ...]) -> Ints:
    size = int(np.prod(shape))
    return np.bincount(cells, minlength=size).reshape(shape)
