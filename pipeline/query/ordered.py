"""Entries in another order than by time: `sort`, and what comes before and after it.

A block's rows are compared by numpy where the first key has numbers only, so that few
of them are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pipeline.errors import FrameError
from pipeline.query.aggregate.fields import read_values
from pipeline.query.aggregate.numbers import read_numbers
from pipeline.query.cursor import Key
from pipeline.query.pipes import Limit, RowPipe, Sort, SortKey, resolve_field
from pipeline.query.rows import Renderer, Row
from pipeline.query.scan import Scan
from pipeline.query.search import Wish, find_page
from pipeline.query.tables import sort_places
from pipeline.query.text import Ints
from pipeline.query.view import View
from pipeline.store.reader import Header

_FEW: int = 1_000
"""Rows of a block that are looked at one by one without a look at their numbers."""


class Hit(NamedTuple):
    """A row of a block, and what it is sorted by."""

    block: int
    place: int
    key: Key
    values: tuple[Any, ...]


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
        for header, places in self._blocks(hits):
            view = self.scan.open(header)
            if view is not None:
                for row in renderer.rows(view, places):
                    found[row.block, row.place] = row
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
        best: list[Hit] = []
        if among is not None:
            for header, places in self._blocks(among):
                view = self.scan.open(header)
                if view is not None:
                    best += _hits(view, keys, places)
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
                found = _hits(view, keys, _candidates(view, keys[0], rows, most))
            except FrameError:
                self.scan.damaged.add(header.id)
                continue
            best = self._best([*best, *found], keys, most)
        return best

    def _best(self, hits: list[Hit], keys: Sequence[SortKey], most: int) -> list[Hit]:
        hits.sort(key=lambda hit: hit.key, reverse=self.descending)
        columns = {
            key.name: [hit.values[at] for hit in hits] for at, key in enumerate(keys)
        }
        return [hits[at] for at in sort_places(keys, columns, range(len(hits)))[:most]]


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


def _candidates(view: View, key: SortKey, rows: Ints, most: int) -> Ints:
    """The rows that may be among the first, as far as the first key's numbers tell."""
    if len(rows) <= _FEW + most:
        return rows
    numbers = read_numbers(view, resolve_field(key.name), rows)
    places, values = numbers.together()
    if numbers.skipped or len(values) <= most:
        return rows
    if key.descending:
        border = np.partition(values, len(values) - most)[len(values) - most]
        places = np.sort(places[values >= border])
    else:
        border = np.partition(values, most - 1)[most - 1]
        places = np.sort(places[values <= border])
    return np.asarray(rows[places])
