"""The store as a scope shows it: a reader of a store that holds nothing else.

This is the one place where scopes are enforced. Whoever asks a ScopedReader gets blocks
of the rows that may be seen, without the columns that may not, with headers, times and
counts of these rows alone. So no question need know of scopes, nor can forget them.

A block of which all may be seen is the store's own. Of others the rows are picked
column by column, when a column is asked for; nothing is told of their patterns, which
are those of all rows, so they are searched as fresh blocks are. Blocks' filters stay:
they only say what a block has not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from pipeline.batch.column import Column, Field
from pipeline.batch.decode import Batch, Mask
from pipeline.batch.layout import (
    DICT_HEAD,
    METADATA,
    METADATA_PREFIX,
    NUMBER,
    REQUIRED,
    SHAPE,
    SOURCE,
    TIMESTAMP,
    Codec,
    Kind,
)
from pipeline.batch.pack import pack
from pipeline.batch.read import Ints, Texts, read_dictionary, read_texts, slices, unpack
from pipeline.batch.seal import framed
from pipeline.compression import Bytes
from pipeline.errors import FrameError, StoreError
from pipeline.scope import Scope
from pipeline.store.block import Block, Counts
from pipeline.store.commits import Commits, join_commits
from pipeline.store.headers import Header
from pipeline.store.patterns import BlockPatterns, no_patterns
from pipeline.store.reader import Reader
from pipeline.store.runs import Runs, join_runs, parse_runs
from pipeline.store.select import pick, shaped
from pipeline.store.template_table import TemplateTable


class ScopedReader(Reader):
    """A reader's blocks under a scope; it has no connection of its own."""

    is_scoped = True

    def __init__(self, whole: Reader, scope: Scope) -> None:
        super().__init__(whole.path, whole.attached)
        self._whole = whole
        self._scope = scope
        self._from: list[Header] | None = None
        """The list of the reader's headers that `headers` were made from, and"""
        self._looked = 0
        """how many of them."""

        self._raised = 0
        self._own: dict[int, Header] = {}
        """The reader's headers of the blocks of which a part is shown."""
        self._known: dict[Header, Header | None] = {}
        """What is shown of a block: times are found once, by reading them."""

    @property
    def unattached(self) -> int:
        """Archives whose entries are missing."""
        return self._whole.unattached

    def refresh(self) -> None:
        """See what was committed since."""
        whole = self._whole
        whole.refresh()
        is_other = self.file != whole.file
        self.file, self.newest = whole.file, whole.newest
        if (
            is_other
            or whole.headers is not self._from
            or self._raised != (whole.generation)
        ):
            self._from, self._raised, self._looked = whole.headers, whole.generation, 0
            kept = {} if is_other else self._known
            self._known = {h: kept[h] for h in whole.headers if h in kept}
            self._own, self.headers = {}, []
            self.generation += 1
        new = whole.headers[self._looked :]
        self._looked += len(new)
        for header in new:
            if header not in self._known:
                self._known[header] = self._narrowed(header)
            shown = self._known[header]
            if shown is not None:
                self.headers.append(shown)
                if shown is not header:
                    self._own[shown.id] = header

    def _narrowed(self, header: Header) -> Header | None:
        """The header of what is shown; None where that is nothing.

        One that can't be read stays as it is: who opens it is told that it is damaged.
        """
        try:
            (counts,) = self._whole.counts([header.id])
            seen = self._cells(counts)
            rows = int(counts.counts[seen].sum())
            if not rows:
                return None
            if rows == header.rows:
                return header._replace(tier=0) if self._scope.hidden else header
            batch = self._whole.load(header).batch
            times = batch.columns[TIMESTAMP].numbers[self._rows(batch)]
        except (StoreError, FrameError):
            return header._replace(rows=1, size=0, tier=0)
        low, high = int(times.min()), int(times.max())
        size = header.size * rows // header.rows
        return header._replace(rows=rows, size=size, minimum=low, maximum=high, tier=0)

    def _cells(self, counts: Counts) -> Mask:
        return np.asarray(self._allowed(counts.sources)[counts.source_codes])

    def _rows(self, batch: Batch) -> Mask:
        source = batch.columns[SOURCE]
        return np.asarray(self._allowed(source.dictionary)[source.codes])

    def _allowed(self, names: list[Any]) -> Mask:
        return np.array(list(map(self._scope.allows, names)), np.bool_)

    def load(self, header: Header) -> Block:
        """The block of the rows that are shown; raises StoreError."""
        own = self._own.get(header.id)
        if own is None:
            return self._whole.load(header)
        block = self._whole.load(own)
        try:
            keep = self._rows(block.batch)
            if int(keep.sum()) == header.rows:
                return ScopedBlock(block, keep, self._scope)
        except FrameError as error:
            raise StoreError(f"block {header.id} can't be read: {error}") from None
        raise StoreError(f"block {header.id} is damaged: its counts are wrong")

    def counts(self, block_ids: Sequence[int]) -> list[Counts]:
        """Counts of the rows that are shown."""
        return [
            self._shown_counts(counts) if block_id in self._own else counts
            for block_id, counts in zip(
                block_ids, self._whole.counts(block_ids), strict=True
            )
        ]

    def _shown_counts(self, counts: Counts) -> Counts:
        seen = self._cells(counts)
        codes, left = np.unique(counts.source_codes[seen], return_inverse=True)
        return Counts(
            None if counts.minutes is None else counts.minutes[seen],
            [counts.sources[code] for code in codes.tolist()],
            left.astype(np.int64),
            counts.levels[seen],
            counts.counts[seen],
        )

    def patterns(self, block_ids: Sequence[int]) -> list[BlockPatterns]:
        """None of blocks of which a part is shown: theirs are those of all rows."""
        own = [each for each in block_ids if each not in self._own]
        found = dict(zip(own, self._whole.patterns(own), strict=True))
        shown = {header.id: header.rows for header in self.headers}
        return [found.get(each) or no_patterns(shown[each]) for each in block_ids]

    def templates(self) -> TemplateTable:
        """Of all the store: they are shown by the ids of rows alone."""
        return self._whole.templates()

    def blocks_without(self, token_hash: int) -> frozenset[int]:
        """What a block has not, a part of it has not."""
        return self._whole.blocks_without(token_hash)

    def close(self) -> None:
        """Nothing: the connection is the other reader's."""


class ScopedBlock(Block):
    """The rows of a block that are shown, without the fields that are not."""

    def __init__(self, whole: Block, keep: Mask, scope: Scope) -> None:
        self.id, self.first, self.last = whole.id, whole.first, whole.last
        self.committed = whole.committed
        self._whole, self._keep = whole, keep
        self.batch = _shown(whole.batch, keep, scope)
        self.rows = self.batch.rows

    @cached_property
    def runs(self) -> Runs:
        """The producer runs."""
        return parse_runs(join_runs([self._whole.runs], [self._keep]))

    @cached_property
    def commits(self) -> Commits:
        """The commits that its rows came with."""
        return join_commits([self._whole.commits], [self._keep])


class PickedColumn(Column):
    """A column whose bytes are made when they are asked for."""

    __slots__ = ("_make",)

    def __init__(self, field: Field, make: Callable[[], bytes]) -> None:
        super().__init__(field, b"")
        self._make = make

    @property
    def data(self) -> Bytes:
        """The column's bytes."""
        if self._data is None:
            self._data = self._make()
        return self._data


def _shown(batch: Batch, keep: Mask, scope: Scope) -> Batch:
    columns: dict[str, Column] = {}
    for name, column in batch.columns.items():
        if name in (SHAPE, NUMBER) or _is_hidden(name, scope):
            continue
        present = batch.present(name)
        places = np.flatnonzero(keep if present is None else keep[present])
        if len(places):
            columns[name] = _picked(name, column, places, scope)
    if SHAPE in batch.columns:
        columns = shaped(batch, keep, columns)
    return Batch(int(keep.sum()), columns, 0, b"")


def _is_hidden(name: str, scope: Scope) -> bool:
    # a key of the metadata may be named as a field
    is_field = name in REQUIRED or name == METADATA
    return not is_field and scope.hides(name.removeprefix(METADATA_PREFIX))


def _picked(name: str, column: Column, places: Ints, scope: Scope) -> Column:
    kind, count = column.kind, len(places)
    make = partial(pick, column, places)
    is_metadata = name == METADATA or name.startswith(METADATA_PREFIX)
    if is_metadata and scope.hidden and kind in (Kind.PACKED, Kind.DICT):
        path = None if name == METADATA else name.removeprefix(METADATA_PREFIX)
        make = partial(_stripped, make, kind, count, partial(scope.value, path=path))
    return PickedColumn(Field(name, kind, Codec.PLAIN, count, 0, 0), make)


def _stripped(
    make: Callable[[], bytes], kind: Kind, count: int, strip: Callable[[Any], Any]
) -> bytes:
    """The column's bytes, its values without the hidden keys inside."""
    data = make()
    if kind is Kind.PACKED:
        return _strip_all(read_texts(data, count, terminated=False), strip)
    _, inner, words = read_dictionary(data, count)
    if inner != Kind.PACKED:
        return data
    head = DICT_HEAD.size + DICT_HEAD.unpack_from(data)[1] * count
    return data[:head] + _strip_all(words, strip)


def _strip_all(texts: Texts, strip: Callable[[Any], Any]) -> bytes:
    return framed([pack(strip(unpack(each))) for each in slices(texts, 0)], b"")
