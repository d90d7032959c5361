"""Entries in another order than by time: `sort`, and what comes before and after it.

A block's rows are compared by numpy, by numbers that sort as their keys do, so that few
of them are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.batch.layout import SHAPE, TIMESTAMP
from pipeline.errors import FrameError
from pipeline.query.aggregate.fields import read_values
from pipeline.query.cursor import Key
from pipeline.query.ordering import first_rows
from pipeline.query.pipes import Limit, RowPipe, Sort, SortKey, resolve_field
from pipeline.query.requests import REPLY_BYTES, FieldError
from pipeline.query.rows import Renderer, Row
from pipeline.query.scan import Scan
from pipeline.query.search import Wish, find_page
from pipeline.query.tables import sort_places
from pipeline.query.text import Ints
from pipeline.query.view import View
from pipeline.store.reader import Header

VALUES_BYTES: Final = 16 << 20
"""Of texts to sort by, kept at once."""

_PIECE: Final = 8192
"""Rows of a block looked at together."""

_AT_ONCE: Final = 256
"""Values read between two looks at the budget, and at how long they are."""

_KEPT: Final = (TIMESTAMP, SHAPE)
"""Columns that stay decoded: others take the memory of what is sorted."""


class Hit(NamedTuple):
    """A row of a block, and what it is sorted by."""

    block: int
    place: int
    key: Key
    values: tuple[Any, ...]


Hits = list[Hit]


@dataclass(slots=True)
class Ordered:
    """Rows of a query with `sort`."""

    scan: Scan
    limit: int
    descending: bool
    """The order of entries before it."""
    total: int | None = None
    """All matches, when all of them were looked at."""

    def run(self, pipes: Sequence[RowPipe]) -> list[Hit]:
        """The rows in their order; raises CostError and CancelledError."""
        hits: list[Hit] | None = None
        for at, pipe in enumerate(pipes):
            if isinstance(pipe, Limit):
                hits = self._first(pipe.n) if hits is None else hits[: pipe.n]
            elif isinstance(pipe, Sort):
                following = pipes[at + 1] if at + 1 < len(pipes) else None
                most = following.n if isinstance(following, Limit) else self.limit
                hits = self._sort(pipe.keys, most, hits)
        return (hits or [])[: self.limit]

    def render(self, hits: Sequence[Hit], renderer: Renderer) -> list[Row]:
        """The rows of the hits, in their order."""
        found: dict[tuple[int, int], Row] = {}
        size = 0
        for header, places in self._blocks(hits):
            view = self.scan.open(header)
            if view is not None:
                for start in range(0, len(places), _AT_ONCE):
                    for row in renderer.rows(view, places[start : start + _AT_ONCE]):
                        found[row.block, row.place] = row
                        size += len(row.json)
                    if size > REPLY_BYTES:
                        problem = f"the reply is longer than {REPLY_BYTES >> 20} MiB"
                        raise FieldError("q", problem, hint="add a lower limit")
        return [found[hit[:2]] for hit in hits if hit[:2] in found]

    def _first(self, n: int) -> list[Hit]:
        wish = Wish(min(n, self.limit), descending=self.descending, count=False)
        page = find_page(self.scan, wish, Renderer(["id"]))
        return [Hit(row.block, row.place, row.key, ()) for row in page.rows]

    def _blocks(self, hits: Sequence[Hit]) -> Iterator[tuple[Header, Ints]]:
        headers = {header.id: header for header in self.scan.headers.reader.headers}
        places: dict[int, list[int]] = {}
        for hit in hits:
            places.setdefault(hit.block, []).append(hit.place)
        for block, rows in places.items():
            if block in headers:
                yield headers[block], np.array(sorted(rows), np.int64)

    def _sort(
        self, keys: Sequence[SortKey], most: int, among: list[Hit] | None
    ) -> list[Hit]:
        best: Hits = []
        if among is not None:
            for header, places in self._blocks(among):
                view = self.scan.open(header)
                if view is not None:
                    best += _hits(view.at(places, _names(keys)), keys, places)
            return self._best(best, keys, most)
        self.total = 0
        for header in self.scan.visit(descending=True):
            self.scan.budget.check()
            if not self.scan.may_match(header):
                continue
            matched = self.scan.match(header)
            if matched is None:
                continue
            view, mask = matched
            rows = np.flatnonzero(mask)
            self.total += len(rows)
            try:
                best = self._take(view, keys, rows, most, best)
            except FrameError:
                self.scan.damaged.add(header.id)
            view.batch.forget(_KEPT)
        return self._best(best, keys, most)

    def _take(
        self, view: View, keys: Sequence[SortKey], rows: Ints, most: int, best: Hits
    ) -> Hits:
        """The best so far and of these rows those that may be among the best."""
        best = best.copy()
        size = _weight(best)
        view = view.at(rows, _names(keys))
        for at in range(0, len(rows), _PIECE):
            border = best[most - 1].values[0] if len(best) >= most else None
            some = first_rows(
                *(view, keys, rows[at : at + _PIECE], most),
                newest=self.descending,
                border=border,
            )
            for start in range(0, len(some), _AT_ONCE):
                view.check()
                hits = _hits(view, keys, some[start : start + _AT_ONCE])
                size += _weight(hits)
                if size > VALUES_BYTES:
                    raise _too_long()
                best += hits
            if len(best) >= most:  # in order: the last one is the border
                best = self._best(best, keys, most)
                size = _weight(best)
        return best

    def _best(self, hits: list[Hit], keys: Sequence[SortKey], most: int) -> list[Hit]:
        hits.sort(key=lambda hit: hit.key, reverse=self.descending)
        columns = {
            key.name: [hit.values[at] for hit in hits] for at, key in enumerate(keys)
        }
        return [hits[at] for at in sort_places(keys, columns, range(len(hits)))[:most]]


def _names(keys: Sequence[SortKey]) -> list[str]:
    return [key.name for key in keys]


def _weight(hits: Hits) -> int:
    """Characters of the texts that are kept of these."""
    return sum(len(v) for hit in hits for v in hit.values if isinstance(v, str))


def _too_long() -> FieldError:
    problem = f"the values to sort by take more than {VALUES_BYTES >> 20} MiB"
    return FieldError("q", problem, hint="add a lower limit behind the sort")


def _hits(view: View, keys: Sequence[SortKey], rows: Ints) -> list[Hit]:
    columns = [_values(view, key.name, rows) for key in keys]
    times = view.timestamps()[rows].tolist()
    return [
        Hit(view.block.id, place, (time, *identity), values)
        for place, time, identity, values in zip(
            rows.tolist(),
            times,
            view.block.identities(rows),
            zip(*columns, strict=True),
            strict=True,
        )
    ]


def _values(view: View, name: str, rows: Ints) -> list[Any]:
    field = resolve_field(name)
    if field == "timestamp":
        return list(view.timestamps()[rows].tolist())
    return read_values(view, field, rows)
