"""The entries around each hit: n before and n after it of the same source.

Neighbours are by (timestamp, producer, number), whatever the search asked for and
whatever its window, among the blocks that its first page saw. Hits of one source that
lie close together share the blocks that are opened for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import numpy as np

from pipeline.batch.distinct import difference, distinct
from pipeline.query.filters import Sources
from pipeline.query.plan import Plan
from pipeline.query.requests import REPLY_BYTES, FieldError
from pipeline.query.rows import Renderer, Row
from pipeline.query.scan import Scan
from pipeline.query.text import Ints, Mask
from pipeline.store.reader import Header

_RENDERED: Final = 256
"""Rows between two looks at how long the reply has become."""

_GROUP_ROWS: Final = 200_000
"""Rows of the blocks that are looked at together: 5 MB of keys."""

_NONE: Final[Ints] = np.empty(0, np.int64)


class _Piece(NamedTuple):
    """Rows of one source in one block, in no order."""

    header: Header
    places: Ints
    times: Ints
    producers: list[bytes]
    ranks: Ints
    numbers: Ints


def find_context(
    scan: Scan, hits: Sequence[Row], around: int, renderer: Renderer
) -> list[Row]:
    """The entries around the hits that are no hits themselves, each once, unordered."""
    wanted: dict[int, list[Ints]] = {}
    headers: dict[int, Header] = {}
    for source, group in groupby(sorted(hits, key=_by_source), _source):
        near_by = Sources([source])
        near_by.stages = scan.plan.filter.stages
        plan = Plan(near_by, mark=scan.plan.mark)
        neighbours = _Neighbours(scan.other(plan), source, around)
        for near in neighbours.groups(list(group)):
            for header, places in neighbours.around(near):
                headers[header.id] = header
                wanted.setdefault(header.id, []).append(places)
    known: dict[int, list[int]] = {}
    for hit in hits:
        known.setdefault(hit.block, []).append(hit.place)
    chosen = {
        block: difference(
            np.concatenate(places), np.array(known.get(block, []), np.int64)
        )
        for block, places in wanted.items()
    }
    size = sum(len(hit.json) for hit in hits)
    return _render(scan, headers, chosen, renderer, size)


def _render(
    scan: Scan,
    headers: dict[int, Header],
    wanted: dict[int, Ints],
    renderer: Renderer,
    size: int,
) -> list[Row]:
    """Block by block, for all sources at once: reading one whole takes longest.

    `size` is that of the hits, in bytes.
    """
    found: list[Row] = []
    for block, chosen in wanted.items():
        view = scan.open(headers[block]) if len(chosen) else None
        if view is None:
            continue
        for start in range(0, len(chosen), _RENDERED):
            some = chosen[start : start + _RENDERED]
            rows = renderer.rows(view, some, context=True)
            size += sum(len(row.json) for row in rows)
            if size > REPLY_BYTES:
                problem = f"the reply would be longer than {REPLY_BYTES >> 20} MiB"
                hint = "ask for a lower limit or context"
                raise FieldError("context", problem, hint=hint)
            found += rows
    return found


def _by_source(row: Row) -> tuple[str, int]:
    return row.source, row.key[0]


def _source(row: Row) -> str:
    return row.source


class _Neighbours:
    """Rows of one source around hits that are close to one another."""

    def __init__(self, scan: Scan, source: str, around: int) -> None:
        self._source = source
        self.scan = scan
        self._around = around
        self._newest = scan.visit(descending=True)
        self._oldest = scan.visit(descending=False)

    def groups(self, hits: list[Row]) -> Iterator[list[Row]]:
        """Hits in order of time, as many together as _GROUP_ROWS allow."""
        group: list[Row] = []
        for hit in hits:
            if group and self._rows(group[0].key[0], hit.key[0]) > _GROUP_ROWS:
                yield group
                group = []
            group.append(hit)
        yield group

    def _rows(self, low: int, high: int) -> int:
        return self.scan.headers.rows(self._places(low, high))

    def _places(self, low: int, high: int) -> Ints:
        return self.scan.headers.select(low, high + 1, self.scan.plan.mark)

    def around(self, hits: list[Row]) -> Iterator[tuple[Header, Ints]]:
        """(block, places) of the neighbours, the hits among them."""
        low, high = hits[0].key[0], hits[-1].key[0]
        near = self.scan.headers.ordered(self._places(low, high), descending=True)
        pieces = list(filter(None, map(self._piece, near)))
        seen = {piece.header.id for piece in pieces}
        pieces += self._older(pieces, seen, low)
        pieces += self._newer(pieces, seen, high)
        blocks, places, is_hit = _merge(pieces, hits)
        middle, size = np.flatnonzero(is_hit), len(places)
        edges = np.zeros(size + 1, np.int64)
        np.add.at(edges, np.maximum(middle - self._around, 0), 1)
        np.add.at(edges, np.minimum(middle + self._around + 1, size), -1)
        chosen = np.flatnonzero(np.cumsum(edges[:size]))
        for block in distinct(blocks[chosen]).tolist():
            mine = chosen[blocks[chosen] == block]
            yield pieces[block].header, places[mine]

    def _older(
        self, pieces: list[_Piece], seen: set[int], low: int
    ) -> Iterator[_Piece]:
        """Blocks before the first hit, until enough of their rows are nearer."""
        times = [piece.times[piece.times < low] for piece in pieces]
        best = _nearest(np.concatenate([*times, _NONE]), self._around, newest=True)
        for header in self._newest:
            if header.id in seen or header.minimum > low:
                continue
            if len(best) == self._around and header.maximum < best.min():
                break
            piece = self._piece(header)
            if piece is not None:
                yield piece
                joined = np.concatenate([best, piece.times])
                best = _nearest(joined, self._around, newest=True)

    def _newer(
        self, pieces: list[_Piece], seen: set[int], high: int
    ) -> Iterator[_Piece]:
        """Blocks after the last hit, until enough of their rows are nearer."""
        times = [piece.times[piece.times > high] for piece in pieces]
        best = _nearest(np.concatenate([*times, _NONE]), self._around, newest=False)
        for header in self._oldest:
            if header.id in seen or header.maximum < high:
                continue
            if len(best) == self._around and header.minimum > best.max():
                break
            piece = self._piece(header)
            if piece is not None:
                yield piece
                joined = np.concatenate([best, piece.times])
                best = _nearest(joined, self._around, newest=False)

    def _piece(self, header: Header) -> _Piece | None:
        """The block's rows of the source; None without any."""
        if not self.scan.may_match(header):
            return None
        keys = self.scan.keys(header)
        if keys is None or self._source not in keys.sources:
            return None
        places = np.flatnonzero(keys.codes == keys.sources.index(self._source))
        return _Piece(
            header,
            places,
            keys.times[places],
            keys.producers,
            keys.ranks[places],
            keys.numbers[places],
        )


def _nearest(times: Ints, count: int, *, newest: bool) -> Ints:
    """The newest or oldest times, at most `count`."""
    if len(times) <= count:
        return times
    if newest:
        return np.partition(times, len(times) - count)[-count:]
    return np.partition(times, count - 1)[:count]


def _merge(pieces: list[_Piece], hits: list[Row]) -> tuple[Ints, Ints, Mask]:
    """All pieces' rows in order: index of the piece, place in its block, is a hit."""
    producers = sorted({p for piece in pieces for p in piece.producers})
    rank = {producer: index for index, producer in enumerate(producers)}
    ranks = [
        np.array([rank[p] for p in piece.producers], np.int64)[piece.ranks]
        for piece in pieces
    ]
    sizes = [len(piece.places) for piece in pieces]
    blocks = np.repeat(np.arange(len(pieces)), sizes)
    places = np.concatenate([piece.places for piece in pieces])
    hit_places = [
        np.isin(piece.places, [h.place for h in hits if h.block == piece.header.id])
        for piece in pieces
    ]
    order = np.lexsort(
        (
            np.concatenate([piece.numbers for piece in pieces]),
            np.concatenate(ranks),
            np.concatenate([piece.times for piece in pieces]),
        )
    )
    return blocks[order], places[order], np.concatenate(hit_places)[order]
