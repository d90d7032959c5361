"""The blocks of a plan: which there are, what is known of them, and opening them."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.batch.layout import SOURCE
from pipeline.errors import FrameError, StoreError
from pipeline.query.ahead import Ahead
from pipeline.query.budget import Budget
from pipeline.query.evidence import Evidence, Span, Table, anything
from pipeline.query.matchers import Matcher, Verdicts
from pipeline.query.opened import Opened
from pipeline.query.plan import Plan
from pipeline.query.remembered import Matches, Written
from pipeline.query.text import Ints, Mask
from pipeline.query.view import View
from pipeline.store.block import Counts
from pipeline.store.message_column import MessageColumn
from pipeline.store.reader import Header, Reader
from pipeline.store.schema import COMPACTED

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
    """A reader's headers as arrays, and what its questions keep for one another."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.forget: list[Callable[[], None]] = []
        """Called when another file takes the database's place: blocks of it may look
        like those that something is known of."""

        self.damaged: set[int] = set()
        """Blocks that could not be read for the question at hand."""

        self._forget()
        self._listed = reader.headers
        self._generation = reader.generation
        self._table: npt.NDArray[np.int64] = np.empty((0, 6), np.int64)

    def _forget(self) -> None:
        self._file = self.reader.file
        self.templates, self.opened = Table(), Opened()
        self.matches, self.written = Matches(), Written()
        for forget in self.forget:
            forget()

    def refresh(self) -> int:
        """See what was committed since; the newest commit's number, 0 without any."""
        self.reader.refresh()
        if self._file != self.reader.file:
            self._forget()
        headers = self.reader.headers
        if (
            headers is not self._listed  # another file took the database's place
            or self._generation != self.reader.generation
        ):
            self._listed, self._generation = headers, self.reader.generation
            self._table = self._table[:0]
            live = frozenset(headers)
            for kept in (self.matches, self.opened, self.templates):
                kept.keep(live)
        new = [
            (h.id, h.rows, h.minimum, h.maximum, h.first, h.last)
            for h in headers[len(self) :]
        ]
        if new:
            self._table = np.concatenate([self._table, np.array(new, np.int64)])
        return self.reader.newest

    def __len__(self) -> int:
        return len(self._table)

    def select(
        self,
        low: int | None,
        high: int | None,
        mark: int | None = None,
        after_block: int = 0,
    ) -> Ints:
        """Places of the blocks that overlap [low, high) and have wanted commits."""
        _, _, minimum, maximum, first, last = self._table.T
        # a damaged header has its place before all commits
        mask: Mask = last > (after_block or -COMPACTED)
        if mark is not None:
            mask &= first <= mark
        if low is not None:
            mask &= maximum >= low
        if high is not None:
            mask &= minimum < high
        return np.flatnonzero(mask)

    def ordered(self, places: Ints, *, descending: bool) -> list[Header]:
        """Their headers, those first whose entries can be first in the order."""
        _, _, minimum, maximum, _, _ = self._table[places].T
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
        return int(self._table[places, 2].min()), int(self._table[places, 3].max())


class PinnedHeaders(Headers):
    """Headers at one moment: they see nothing that is committed later."""

    def __init__(self, headers: Headers, mark: int | None = None) -> None:
        """Up to now, or up to the commit `mark` if that is earlier."""
        newest = headers.refresh()
        vars(self).update(vars(headers))
        self.forget = []
        self._newest = newest if mark is None else min(mark, newest)

    def refresh(self) -> int:
        """The newest commit that is looked at."""
        return self._newest


class Scan:
    """One plan over the blocks there are, under a budget."""

    def __init__(self, headers: Headers, plan: Plan, budget: Budget) -> None:
        self.headers = headers
        self.plan = plan
        self.budget = budget
        self.damaged = headers.damaged
        """Blocks that could not be read; nothing of them is in the answer."""
        self.pruned: Counter[str] = Counter()
        """Blocks that weren't opened, by what ruled them out."""
        self._evidence = Evidence(headers.reader, headers.templates)
        self._ahead = Ahead(headers.reader)
        self._counts: OrderedDict[int, Counts] = OrderedDict()
        self._keys: OrderedDict[int, Keys] = OrderedDict()

    def other(self, plan: Plan) -> Scan:
        """Another plan over the same blocks, for the same question."""
        scan = Scan(self.headers, plan, self.budget)
        scan.damaged, scan.pruned = self.damaged, self.pruned
        scan._evidence = self._evidence
        scan._counts, scan._keys = self._counts, self._keys
        return scan

    def visit(self, *, descending: bool) -> list[Header]:
        """The blocks of the window, newest (or oldest) first."""
        plan = self.plan
        places = self.headers.select(plan.low, plan.high, plan.mark, plan.after_block)
        found = self.headers.ordered(places, descending=descending)
        self.budget.blocks_planned += len(found)
        self.pruned["time"] += len(self.headers) - len(found)
        without = self.headers.matches.without(plan.filter.key)
        left = [header for header in found if header not in without]
        if without:
            self.pruned["remembered"] += len(found) - len(left)
        self._ahead.plan(left)
        return left

    def may_match(self, header: Header) -> bool:
        """Whether a row of the block may match, as far as is known unopened."""
        found = self._may_match(header)
        if not found:
            self._remember(header, np.empty(0, np.int64))
        return found

    def _may_match(self, header: Header) -> bool:
        wanted = self.plan.filter
        with self.budget.step("headers"):
            if wanted.prunes:
                counts = self.maybe_counts(header)
                if counts is None:
                    return False
                if not wanted.may_match(header, counts):
                    self.pruned[wanted.blame(counts)] += 1
                    return False
            span = self._span(header)
        if not span.high:
            self.pruned[span.by] += 1
        return span.high > 0

    def _span(self, header: Header) -> Span:
        try:
            return self.plan.filter.span(header, self._evidence)
        except (StoreError, FrameError):
            return anything(header)  # what the block itself says is all that counts

    def covers(self, header: Header) -> bool:
        """Whether all of the block is within the window."""
        low, high = self.plan.low, self.plan.high
        return (
            (low is None or low <= header.minimum)
            and (high is None or header.maximum < high)
            and not self._straddles(header)
        )

    def _straddles(self, header: Header) -> bool:
        """Whether some of the block's commits are not asked for."""
        mark, after = self.plan.mark, self.plan.after_block
        return header.first <= after or (mark is not None and header.last > mark)

    def maybe_count(self, header: Header) -> int | None:
        """How many rows match, if that is known unopened."""
        wanted = self.plan.filter
        if not self.covers(header):
            return None
        if not wanted.exact:
            span = self._span(header)
            return span.low if span.low == span.high else None
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
            except (StoreError, FrameError):
                self._lose(header)
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
        block = self.headers.opened.get(header)
        if block is None or header.id not in self.budget.opened:
            self.budget.opened.add(header.id)
            self.budget.open_block(header.rows, header.minimum, header.maximum)
        if block is None:
            try:
                with self.budget.step("open"):
                    block = self._ahead.take(header)
                    block = block or self.headers.reader.load(header)
            except StoreError:
                self._lose(header)
                return None
            self.headers.opened.put(header, block)
        verdicts = partial(self._verdicts, header)
        stages, written = self.plan.filter.stages, self.headers.written
        return View(header, block, self.budget, verdicts, written, stages)

    def _verdicts(
        self, header: Header, matcher: Matcher, column: MessageColumn
    ) -> Verdicts:
        return self._evidence.verdicts(matcher, header, column)

    def _lose(self, header: Header) -> None:
        """A block can't be read: damaged, or its entries are deleted since."""
        self.headers.refresh()
        live = self.headers.reader.headers
        if any(h.first <= header.last and header.first <= h.last for h in live):
            self.damaged.add(header.id)

    def remembered(self, header: Header) -> Ints | None:
        """The places of the rows that match, if an earlier question found them."""
        key = self.plan.filter.key
        if key is None or header.id in self.damaged or not self.covers(header):
            return None
        return self.headers.matches.get(key, header)

    def match(self, header: Header) -> tuple[View, Mask] | None:
        """The opened block and which rows of it match; None if it can't be read."""
        view = self.open(header)
        if view is None:
            return None
        known = self.remembered(header)
        if known is not None:
            mask = np.zeros(view.rows, np.bool_)
            mask[known] = True
            return view, mask
        try:
            with self.budget.step("match"):
                self._ahead.begin(header, self.headers.opened)
                mask = self.plan.filter.rows(view, self.within(header, view))
        except (StoreError, FrameError):
            self.damaged.add(header.id)
            return None
        self._ahead.end(header, view.block)
        if self.covers(header):
            self._remember(header, np.flatnonzero(mask))
        return view, mask

    def _remember(self, header: Header, places: Ints) -> None:
        """For the next question: what matches in all of the block."""
        if self.plan.filter.key is not None and header.id not in self.damaged:
            self.headers.matches.put(self.plan.filter.key, header, places)

    def keys(self, header: Header) -> Keys | None:
        """The keys of the block's rows; None if it can't be read."""
        kept = self._keys.get(header.id)
        if kept is None:
            view = self.open(header)
            if view is None:
                return None
            try:
                kept = _keys_of(view)
            except (StoreError, FrameError):
                self.damaged.add(header.id)
                return None
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
        if self._straddles(header):
            mark = header.last if self.plan.mark is None else self.plan.mark
            first, last = view.block.rows_between(self.plan.after_block, mark)
            mask[:first] = False
            mask[last:] = False
        return mask


def _keys_of(view: View) -> Keys:
    source = view.batch.columns[SOURCE]
    ranks, numbers = view.block.order_keys()
    return Keys(
        *(view.timestamps(), source.dictionary, source.codes),
        *(sorted(view.block.runs.producers), ranks, numbers),
    )
