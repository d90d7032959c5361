"""Pages: the first entries of an order that match, and how many do in all.

Blocks are visited in the order of their newest (or oldest) entry. Once a page is full
and all that is left lies beyond its last entry, nothing more is opened for the page;
with an exact count the rest is only counted, from the headers where these tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from pipeline.query.cursor import Key
from pipeline.query.rows import Renderer, Row
from pipeline.query.scan import Scan
from pipeline.query.text import Ints, Mask
from pipeline.query.view import View
from pipeline.store.reader import Header

_RENDERED: Final = 64
_RENDERED_MAX: Final = 1024
_RENDERED_BYTES: Final = 4 << 20
"""Rows rendered in one go: the first so many, then about as many as have these bytes.
"""


class Page(NamedTuple):
    """Rows in their order, whether more follow, and all matches if counted."""

    rows: list[Row]
    more: bool
    total: int | None


@dataclass(frozen=True, slots=True)
class Wish:
    """Which page."""

    limit: int
    descending: bool = True
    after: Key | None = None
    """The last entry of the page before."""
    count: bool = True
    bytes_max: int = 64 << 20
    """A page ends early when its entries are longer than this."""
    context: bool | None = None
    """The flag `context` of each row; None leaves it out."""


def find_page(scan: Scan, wish: Wish, renderer: Renderer) -> Page:
    """The page; raises CostError or CancelledError, and ends early for neither."""
    found = _Found(wish, renderer)
    total = 0
    for header in scan.visit(descending=wish.descending):
        wanted = found.wants(header)
        if not wanted and not wish.count:
            if found.complete(header):
                break
            continue
        total += _look(scan, header, found, wanted)
    rows, more = found.page()
    return Page(rows, more, total if wish.count else None)


def _look(scan: Scan, header: Header, found: _Found, wanted: bool) -> int:
    """Take what the page wants of a block, and count its matches."""
    scan.budget.check()
    places = scan.remembered(header)
    if places is None:
        if not scan.may_match(header):
            return 0
        known = None if wanted else scan.maybe_count(header)
        if known is not None:
            return known
    elif not wanted or found.take_written(scan, header, places):
        return len(places)
    matched = scan.match(header)
    if matched is None:
        return 0
    view, mask = matched
    if wanted:
        found.take(view, mask)
    return int(np.count_nonzero(mask))


class _Found:
    """The best rows so far: one more than the page has, to know if more follow."""

    def __init__(self, wish: Wish, renderer: Renderer) -> None:
        self._wish = wish
        self._renderer = renderer
        self._size = wish.limit + 1
        self._cut = False
        self._rows: list[Row] = []
        # in descending order, times are compared as they are, else mirrored
        self._flip = 0 if wish.descending else -1

    def wants(self, header: Header) -> bool:
        """Whether the block may have rows for the page."""
        after = self._wish.after
        if after is not None:
            nearest = header.minimum if self._wish.descending else header.maximum
            if nearest ^ self._flip > after[0] ^ self._flip:
                return False
        return not self.complete(header)

    def complete(self, header: Header) -> bool:
        """Whether the page is full with rows that are before all of the block's."""
        if len(self._rows) < self._size:
            return False
        first = header.maximum if self._wish.descending else header.minimum
        return first ^ self._flip < self._rows[-1].key[0] ^ self._flip

    def take(self, view: View, mask: Mask) -> None:
        """Keep those of the matching rows that are among the best."""
        places = self._choose(view, np.flatnonzero(mask))
        if not len(places):
            return
        self._render(view, places)
        self._add([])

    def take_written(self, scan: Scan, header: Header, places: Ints) -> bool:
        """As `take`, if all the rows were written before: the block stays closed."""
        written, context = scan.headers.written, self._wish.context
        stages = scan.plan.filter.stages
        rows = self._renderer.written(written, header, places, context, stages)
        if rows is None:
            return False
        after, descending = self._wish.after, self._wish.descending
        if after is not None:
            rows = [r for r in rows if (r.key < after) == descending and r.key != after]
        self._add(rows)
        return True

    def _add(self, rows: list[Row]) -> None:
        self._rows += rows
        self._rows.sort(key=_key, reverse=self._wish.descending)
        del self._rows[self._size :]
        self._cut_bytes()

    def _render(self, view: View, places: Ints) -> None:
        """Add the rows, the first of the order first, until they fill a page alone.

        What comes after a page's bytes can't be on it, and all of 10,000 long rows at
        once would be gigabytes.
        """
        room, done, size = self._wish.bytes_max, 0, _RENDERED
        if len(places) > size:
            places = places[self._order(view, places)[::-1]]
        while done < len(places) and room >= 0:
            some = places[done : done + size]
            rows = self._renderer.rows(view, some, self._wish.context)
            self._rows += rows
            done += len(some)
            used = sum(len(row.json) for row in rows)
            room -= used
            size = min(_RENDERED_MAX, max(1, _RENDERED_BYTES * len(rows) // used))

    def page(self) -> tuple[list[Row], bool]:
        """The rows, and whether more follow."""
        limit = self._wish.limit
        return self._rows[:limit], self._cut or len(self._rows) > limit

    def _choose(self, view: View, places: Ints) -> Ints:
        """The rows that could be in the page, at most as many as it has."""
        times = view.timestamps()[places] ^ self._flip
        if self._wish.after is not None:
            keep = self._beyond(view, places, times, self._wish.after)
            places, times = places[keep], times[keep]
        if len(self._rows) >= self._size:
            keep = times >= self._rows[-1].key[0] ^ self._flip
            places, times = places[keep], times[keep]
        if len(places) > self._size:
            border = np.partition(times, len(times) - self._size)[-self._size]
            keep = times >= border
            places, times = places[keep], times[keep]
        if len(places) > self._size:
            places = places[self._order(view, places)[-self._size :]]
        return places

    def _order(self, view: View, places: Ints) -> Ints:
        """What sorts the rows, the first of the page's order last."""
        ranks, numbers = view.block.order_keys()
        times = view.timestamps()[places] ^ self._flip
        return np.lexsort(
            (numbers[places] ^ self._flip, ranks[places] ^ self._flip, times)
        )

    def _beyond(self, view: View, places: Ints, times: Ints, after: Key) -> Mask:
        """Which rows come after the last entry of the page before."""
        border = after[0] ^ self._flip
        keep: Mask = times < border
        ties = np.flatnonzero(times == border)
        descending = self._wish.descending
        keep[ties] = [
            identity < after[1:] if descending else identity > after[1:]
            for identity in view.block.identities(places[ties])
        ]
        return keep

    def _cut_bytes(self) -> None:
        """End the page early when its rows are too long together."""
        room = self._wish.bytes_max
        for index, row in enumerate(self._rows):
            room -= len(row.json)
            if room < 0 and index:
                del self._rows[index:]
                self._size = index
                self._cut = True
                break


def _key(row: Row) -> Key:
    return row.key
