"""`patterns n`: the most frequent patterns of messages, exact for every entry.

The headers of compacted blocks tell how many rows each template has, but for those
that a block has too few rows of: they are not among its templates. So a pattern that
a block doesn't list has fewer than ROWS_MIN rows there. Such a block is opened only
where these few rows could change the answer, which for frequent patterns is nowhere.
A message whose template is longer than TEMPLATE_BYTES has no pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.batch.distinct import union
from pipeline.batch.layout import MESSAGE
from pipeline.errors import FrameError, StoreError
from pipeline.query.aggregate.aggregation import Bounds
from pipeline.query.aggregate.row_patterns import row_ids, template_of
from pipeline.query.cells import CellStore
from pipeline.query.pipes import Patterns, RowPipe
from pipeline.query.requests import FieldError
from pipeline.query.scan import Scan
from pipeline.query.tables import Table, apply_pipes
from pipeline.query.text import Ints, Mask
from pipeline.query.view import View
from pipeline.store.message_column import MessageColumn
from pipeline.store.messages import ROWS_MIN
from pipeline.store.reader import Header
from pipeline.store.template_table import PATTERNS_MAX as STORE_PATTERNS
from pipeline.store.templates import (
    Ids,
    pattern_id,
    show,
)
from pipeline.timestamp import format_timestamp

PATTERNS_MAX: Final = 500_000
"""Different patterns of one question, of 32 bytes each."""

_WAITING: Final = 1 << 17
"""Patterns of blocks that are added up at once."""

_AT_ONCE: Final = 16
"""Blocks whose headers are asked for their patterns at once."""


class Seen(NamedTuple):
    """Patterns, each once, in the order of their ids."""

    ids: Ids
    counts: Ints
    first: Ints
    last: Ints

    def at(self, places: Ints) -> Seen:
        """Some of them."""
        ids, counts, first, last = self
        return Seen(ids[places], counts[places], first[places], last[places])

    def without_times(self) -> Seen:
        """Half the memory, where only counts are compared."""
        return Seen(self.ids, self.counts, NONE.first, NONE.last)


NONE: Final = Seen(np.empty(0, np.uint64), *(np.empty(0, np.int64) for _ in range(3)))


@dataclass(slots=True)
class BlockSeen:
    """The patterns of a block's matching rows, as far as is known."""

    header: Header
    ids: Ids
    """In order; of the rare ones that were looked at, those that may be in the top."""
    rows: int
    rest: int
    """Rows whose pattern is not looked at yet."""
    missing: int
    """Rows at most that a pattern which is not listed may have."""


def add_up(parts: Sequence[Seen]) -> Seen:
    """All patterns of the parts."""
    ids = np.concatenate([part.ids for part in parts] or [NONE.ids])
    if not len(ids):
        return NONE
    order = np.argsort(ids)
    ids = ids[order]
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    ids = ids[starts]

    def column(at: int, fold: np.ufunc) -> Ints:
        values = np.concatenate([part[at] for part in parts])[order]
        found: Ints = fold.reduceat(values, starts)
        return found

    return Seen(ids, column(1, np.add), column(2, np.minimum), column(3, np.maximum))


class _Sum:
    """Patterns of many blocks, added up as they come: they take memory."""

    def __init__(self) -> None:
        self._seen = NONE
        self._new: list[Seen] = []
        self._waiting = 0

    def add(self, seen: Seen) -> None:
        """Raises FieldError for more than PATTERNS_MAX."""
        self._new.append(seen)
        self._waiting += len(seen.ids)
        if self._waiting > _WAITING:
            self.total()

    def total(self) -> Seen:
        """What there is by now."""
        if self._new:
            self._seen = add_up([self._seen, *self._new])
            self._new, self._waiting = [], 0
            if len(self._seen.ids) > PATTERNS_MAX:
                problem = f"more than {PATTERNS_MAX:,} patterns"
                raise FieldError("q", problem, hint="narrow the time range")
        return self._seen


class PatternCount:
    """The patterns of what a plan matches."""

    def __init__(self, scan: Scan, cells: CellStore) -> None:
        self._scan = scan
        self._rests = cells.rests
        table = scan.headers.reader.templates()
        # blocks may lack frequent ones, for which there was no place any more
        self._is_full = len(table.ids) >= STORE_PATTERNS
        self._sum = _Sum()
        self._keeps_rare = True
        self.blocks = self._read()
        self.total = sum(block.rows for block in self.blocks)
        """Entries that match, those without a pattern too."""

    def top(self, n: int | None) -> Seen:
        """The n most frequent ones, or all; exact. Asked once."""
        while True:
            known = self._sum.total()
            chosen, unsure = self._choose(known, n)
            if not unsure:
                self._sum = _Sum()  # there may be half a million
                return known.at(chosen)
            for block in unsure:
                self._open_rest(block, known)

    def _choose(self, known: Seen, n: int | None) -> tuple[Ints, list[BlockSeen]]:
        """The top as far as is known, and the blocks that could change it."""
        order = np.lexsort((known.ids, -known.counts))
        opened = [block for block in self.blocks if block.missing]
        if n is None or n >= len(order):
            return order, opened
        least = int(known.counts[order[n - 1]])
        unknown = sum(block.missing for block in opened)
        # what no block lists has fewer entries than the last of the top
        self._keeps_rare = unknown > least
        if self._keeps_rare:
            return order[:n], opened
        near = order[known.counts[order] + unknown > least]
        near = union(near, order[:n])
        absent = np.array([~_lists(block.ids, known.ids[near]) for block in opened])
        if not len(absent):
            return order[:n], []
        more = np.array([block.missing for block in opened]) @ absent
        in_play = (known.counts[near] + more > least) | np.isin(near, order[:n])
        open_now = (absent & in_play).any(axis=1).tolist()
        unsure = [
            block for block, is_open in zip(opened, open_now, strict=True) if is_open
        ]
        return order[:n], unsure

    def _read(self) -> list[BlockSeen]:
        scan = self._scan
        told: list[Header] = []
        found: list[BlockSeen] = []
        for header in scan.visit(descending=True):
            scan.budget.check()
            if not scan.may_match(header):
                continue
            if header.tier and scan.maybe_count(header) == header.rows:
                told.append(header)
            else:
                found += self._from_rows(header)
        for at in range(0, len(told), _AT_ONCE):
            scan.budget.check()
            some = told[at : at + _AT_ONCE]
            for header, patterns in zip(some, self._told(some), strict=True):
                rest = patterns.rest
                missing = self._missing(rest, len(patterns.ids))
                seen = Seen(*patterns[:4])
                self._sum.add(seen)
                ids = np.sort(seen.ids)
                found.append(BlockSeen(header, ids, header.rows, rest, missing))
        return found

    def _missing(self, rest: int, listed: int) -> int:
        """How many rows a pattern may have that the block doesn't list.

        A block with too many variables lists none at all.
        """
        return rest if self._is_full or not listed else min(rest, ROWS_MIN - 1)

    def _told(self, headers: list[Header]) -> list[Any]:
        ids = [header.id for header in headers]
        reader = self._scan.headers.reader
        try:
            return list(reader.patterns(ids))
        except (StoreError, FrameError):
            # one is damaged: have each of the others by itself
            good = []
            for header in list(headers):
                try:
                    good += reader.patterns([header.id])
                except (StoreError, FrameError):
                    self._scan.damaged.add(header.id)
                    headers.remove(header)
            return good

    def _from_rows(self, header: Header) -> list[BlockSeen]:
        matched = self._scan.match(header)
        if matched is None or not matched[1].any():
            return []
        view, mask = matched
        try:
            return [self._look(header, view, mask)]
        except FrameError:
            self._scan.damaged.add(header.id)
            return []

    def _look(self, header: Header, view: View, mask: Mask) -> BlockSeen:
        column = view.batch.columns[MESSAGE]
        times = view.timestamps()
        size = int(np.count_nonzero(mask))
        if not isinstance(column, MessageColumn):
            seen = _seen(row_ids(column, np.flatnonzero(mask)), times[mask])
            self._sum.add(seen)
            return BlockSeen(header, seen.ids, size, 0, 0)
        codes = column.codes
        coded = mask & (codes > 0)
        seen = _seen(
            column.pattern_ids[codes[coded].astype(np.int64) - 1], times[coded]
        )
        rest = size - int(np.count_nonzero(coded))
        missing = self._missing(rest, len(column.pattern_ids))
        self._sum.add(seen)
        # a listed pattern may have no matching row: it is not missing for that
        return BlockSeen(header, seen.ids, size, rest, missing)

    def _open_rest(self, block: BlockSeen, known: Seen) -> None:
        """Count the rows without a template too."""
        block.missing = block.rest = 0
        is_whole = block.rows == block.header.rows
        kept = self._rests.get(block.header.id) if is_whole else None
        seen = self._read_rest(block) if kept is None else Seen(*kept)
        if kept is None and is_whole and block.header.id not in self._scan.damaged:
            self._rests.put(block.header.id, seen, 32 * len(seen.ids) + 500)
        if not self._keeps_rare:
            seen = seen.at(np.flatnonzero(_lists(known.ids, seen.ids)))
        self._sum.add(seen)
        block.ids = union(block.ids, seen.ids)

    def _read_rest(self, block: BlockSeen) -> Seen:
        matched = self._scan.match(block.header)
        if matched is None:
            return NONE
        view, mask = matched
        try:
            column = view.batch.columns[MESSAGE]
            if not isinstance(column, MessageColumn):
                return NONE
            rows = np.flatnonzero(mask & (column.codes == 0))
            seen = _seen(row_ids(column, rows), view.timestamps()[rows])
        except FrameError:
            self._scan.damaged.add(block.header.id)
            return NONE
        if self._keeps_rare:  # these want the memory of blocks kept open
            view.batch.forget(())
        return seen


def _lists(ids: Ids, wanted: Ids) -> Mask:
    """Which of the wanted stand in ids, which ascend."""
    places = np.searchsorted(ids, wanted)
    found: Mask = np.zeros(len(wanted), np.bool_)
    inside = places < len(ids)
    found[inside] = ids[places[inside]] == wanted[inside]
    return found


def _seen(ids: Ids, times: Ints) -> Seen:
    some = ids != 0
    ids, times = ids[some], times[some]
    return add_up([Seen(ids, np.ones(len(ids), np.int64), times, times)])


class Names:
    """Texts of patterns: of the store's table, and else of a message that has it."""

    def __init__(self, scan: Scan, blocks: Sequence[BlockSeen]) -> None:
        self._scan = scan
        self._blocks = blocks

    def texts(self, ids: Ids) -> list[str]:
        """As people read them, `<*>` for what varies."""
        table = self._scan.headers.reader.templates()
        places = np.searchsorted(table.ids, ids)
        found: dict[int, bytes] = {}
        for wanted, place in zip(ids.tolist(), places.tolist(), strict=True):
            if place < len(table.ids) and int(table.ids[place]) == wanted:
                found[wanted] = table.texts[place]
        missing = set(ids.tolist()) - set(found)
        for block in self._blocks:
            if not missing:
                break
            here = np.isin(np.array(list(missing), np.uint64), block.ids)
            if here.any():
                found |= self._read(block, missing)
                missing -= set(found)
        return [show(found.get(wanted, b"")) for wanted in ids.tolist()]

    def _read(self, block: BlockSeen, wanted: set[int]) -> dict[int, bytes]:
        matched = self._scan.match(block.header)
        if matched is None:
            return {}
        view, mask = matched
        column = view.batch.columns[MESSAGE]
        rows = np.flatnonzero(mask)
        ids = row_ids(column, rows)
        unique, firsts = np.unique(ids, return_index=True)
        some = np.isin(unique, np.array(list(wanted), np.uint64))
        messages = column.values(rows[firsts[some]])
        templates = map(template_of, messages)
        return {pattern_id(template): template for template in templates}


def id_text(pattern: int) -> str:
    """A pattern's id as replies carry it: 16 hex digits."""
    return f"{pattern:016x}"


COLUMNS: Final = ("pattern", "count", "share", "first_seen", "last_seen", "id")


def patterns_table(
    scan: Scan,
    pipe: Patterns,
    pipes: Sequence[RowPipe],
    bounds: Bounds,
    cells: CellStore,
) -> Table:
    """The patterns with most entries first."""
    found = PatternCount(scan, cells)
    top = found.top(pipe.n)
    texts = Names(scan, found.blocks).texts(top.ids)
    rows = [
        [
            *(text, count, count / found.total),
            *(format_timestamp(first), format_timestamp(last), id_text(pattern)),
        ]
        for text, pattern, count, first, last in zip(
            texts, *(column.tolist() for column in top), strict=True
        )
    ]
    table = Table(columns=list(COLUMNS), rows=rows, truncated=False)
    return apply_pipes(table, pipes, bounds.rows)
