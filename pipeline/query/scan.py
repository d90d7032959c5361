"""The blocks of a plan: which there are, what their headers tell, and opening them.

Opened blocks are kept while few, because a search comes back for the neighbours of its
hits; all are let go when the question is answered.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.layout import SOURCE
from pipeline.errors import FrameError, StoreError
from pipeline.query.budget import Budget
from pipeline.query.plan import Plan
from pipeline.query.text import Ints, Mask
from pipeline.query.view import View
from pipeline.store.block import Block, Counts
from pipeline.store.reader import Header, Reader

_KEPT_BYTES: Final = 4 << 20
"""Compressed bytes of the blocks kept open: two full ones, some 50 MB decoded."""

_COUNTS_KEPT: Final = 64
_KEYS_KEPT: Final = 8


class Keys(NamedTuple):
    """What orders a block's rows, and their sources: 1.6 MB for a full block."""

    times: Ints
    sources: list[str]
    codes: Ints
    producers: list[bytes]
    ranks: Ints
    numbers: Ints


class Headers:
    """A reader's headers as arrays, which grow with it."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._listed = reader.headers
        self._table: npt.NDArray[np.int64] = np.empty((0, 4), np.int64)

    def refresh(self) -> int:
        """See what was committed since; the newest block's id, 0 without any."""
        self.reader.refresh()
        headers = self.reader.headers
        if headers is not self._listed:  # another file took the database's place
            self._listed, self._table = headers, self._table[:0]
        new = [(h.id, h.rows, h.minimum, h.maximum) for h in headers[len(self) :]]
        if new:
            self._table = np.concatenate([self._table, np.array(new, np.int64)])
        return headers[-1].id if headers else 0

    def __len__(self) -> int:
        return len(self._table)

    def select(
        self,
        low: int | None,
        high: int | None,
        mark: int | None = None,
        after_block: int = 0,
    ) -> Ints:
        """Places of the blocks that overlap [low, high) and are wanted."""
        ids, _, minimum, maximum = self._table.T
        mask: Mask = ids > after_block
        if mark is not None:
            mask &= ids <= mark
        if low is not None:
            mask &= maximum >= low
        if high is not None:
            mask &= minimum < high
        return np.flatnonzero(mask)

    def ordered(self, places: Ints, *, descending: bool) -> list[Header]:
        """Their headers, those first whose entries can be first in the order."""
        _, _, minimum, maximum = self._table[places].T
        order = np.argsort(~maximum if descending else minimum, kind="stable")
        headers = self.reader.headers
        return [headers[place] for place in places[order].tolist()]

    def rows(self, places: Ints) -> int:
        """How many rows these blocks have."""
        return int(self._table[places, 1].sum())

    def extent(self, places: Ints) -> tuple[int, int] | None:
        """The oldest and newest timestamp of these blocks."""
        if not len(places):
            return None
        _, _, minimum, maximum = self._table[places].T
        return int(minimum.min()), int(maximum.max())


class Scan:
    """One plan over the blocks there are, under a budget."""

    def __init__(self, headers: Headers, plan: Plan, budget: Budget) -> None:
        self.headers = headers
        self.plan = plan
        self.budget = budget
        self.damaged: set[int] = set()
        """Blocks that could not be read; nothing of them is in the answer."""
        self._blocks: OrderedDict[int, Block] = OrderedDict()
        self._sizes: dict[int, int] = {}
        self._counts: OrderedDict[int, Counts] = OrderedDict()
        self._keys: OrderedDict[int, Keys] = OrderedDict()

    def other(self, plan: Plan) -> Scan:
        """Another plan over the same blocks, for the same question."""
        scan = Scan(self.headers, plan, self.budget)
        scan.damaged = self.damaged
        scan._blocks, scan._sizes = self._blocks, self._sizes
        scan._counts, scan._keys = self._counts, self._keys
        return scan

    def visit(self, *, descending: bool) -> list[Header]:
        """The blocks of the window, newest (or oldest) first."""
        plan = self.plan
        places = self.headers.select(plan.low, plan.high, plan.mark, plan.after_block)
        found = self.headers.ordered(places, descending=descending)
        self.budget.blocks_planned += len(found)
        return found

    def may_match(self, header: Header) -> bool:
        """Whether a row of the block may match, as far as its header tells."""
        wanted = self.plan.filter
        if not wanted.prunes:
            return True
        counts = self.maybe_counts(header)
        return counts is not None and wanted.may_match(header, counts)

    def covers(self, header: Header) -> bool:
        """Whether all of the block is within the window."""
        low, high = self.plan.low, self.plan.high
        return (low is None or low <= header.minimum) and (
            high is None or header.maximum < high
        )

    def maybe_count(self, header: Header) -> int | None:
        """How many rows match, if the header alone tells."""
        wanted = self.plan.filter
        if not wanted.exact or not self.covers(header):
            return None
        if not wanted.prunes:
            return header.rows
        counts = self.maybe_counts(header)
        if counts is None:
            return 0
        return int(counts.counts[wanted.cells(counts)].sum())

    def maybe_counts(self, header: Header) -> Counts | None:
        """The block's counts, from its header; None if it can't be read."""
        kept = self._counts.get(header.id)
        if kept is None:
            self.budget.check()
            try:
                (kept,) = self.headers.reader.counts([header.id])
            except StoreError:
                self.damaged.add(header.id)
                return None
            self._counts[header.id] = kept
            if len(self._counts) > _COUNTS_KEPT:
                self._counts.popitem(last=False)
        return kept

    def open(self, header: Header) -> View | None:
        """The block, counted against the budget; None if it can't be read."""
        if header.id in self.damaged:
            return None
        self.budget.check()
        block = self._blocks.get(header.id)
        if block is None:
            self.budget.open_block(header.rows, header.minimum, header.maximum)
            try:
                block = self.headers.reader.load(header)
            except StoreError:
                self.damaged.add(header.id)
                return None
            self._keep(header, block)
        self._blocks.move_to_end(header.id)
        return View(block, self.budget)

    def match(self, header: Header) -> tuple[View, Mask] | None:
        """The opened block and which rows of it match; None if it can't be read."""
        view = self.open(header)
        if view is None:
            return None
        try:
            return view, self.plan.filter.rows(view, self.within(header, view))
        except FrameError:
            self.damaged.add(header.id)
            return None

    def keys(self, header: Header) -> Keys | None:
        """The keys of the block's rows; None if it can't be read."""
        kept = self._keys.get(header.id)
        if kept is None:
            view = self.open(header)
            if view is None:
                return None
            source = view.batch.columns[SOURCE]
            producers = sorted(view.block.runs.producers)
            ranks, numbers = view.block.order_keys()
            kept = Keys(
                *(view.timestamps(), source.dictionary, source.codes),
                *(producers, ranks, numbers),
            )
            self._keys[header.id] = kept
            if len(self._keys) > _KEYS_KEPT:
                self._keys.popitem(last=False)
        return kept

    def within(self, header: Header, view: View) -> Mask:
        """Which rows are in the window."""
        mask: Mask = np.ones(view.rows, np.bool_)
        low, high = self.plan.low, self.plan.high
        if low is not None and header.minimum < low:
            mask &= view.timestamps() >= low
        if high is not None and header.maximum >= high:
            mask &= view.timestamps() < high
        return mask

    def _keep(self, header: Header, block: Block) -> None:
        self._blocks[header.id] = block
        self._sizes[header.id] = header.size
        while len(self._blocks) > 1 and sum(self._sizes.values()) > _KEPT_BYTES:
            oldest, _ = self._blocks.popitem(last=False)
            del self._sizes[oldest]
