"""Fields that stages read out of an opened block's texts, as columns beside its own.

Only rows that are asked for are read, and only fields that are. Their columns hold the
metadata of these rows: what was read, and else what the entry has itself. So
everything that knows metadata knows what was read.

Strategy: rows are read in pieces whose values become columns at once, so that no more
than a piece of them are Python objects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from copy import copy
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.batch.column import Column, Field
from pipeline.batch.decode import Batch
from pipeline.batch.joined import JoinedColumn
from pipeline.batch.layout import METADATA, METADATA_PREFIX, SHAPE, Codec
from pipeline.batch.values import encode_values
from pipeline.query.extraction import Fields, Reader, reader_of
from pipeline.query.pipe_names import resolve_field
from pipeline.query.requests import FieldError
from pipeline.query.stages import Extraction, Stage, Where, metadata_keys
from pipeline.query.text import Ints, Mask
from pipeline.query.values import values_at
from pipeline.query.view import View

DERIVED_BYTES: Final = 32 << 20
"""Of what is read from one block, as columns."""

_HELD_BYTES: Final = 4 << 20
_HELD_ROWS: Final = 4096
"""Of pieces that are looked at and let go again."""

_COLUMN_BYTES: Final = 2000
"""Of a column's objects, however few values it has."""

_PIECE: Final = 512
"""Rows read together at most."""

_PIECE_FIELDS: Final = 1 << 14
_PIECE_CHARACTERS: Final = 1 << 20
"""Of their texts: a row may have a megabyte."""


class _Step(NamedTuple):
    """One extraction: what it reads, and how."""

    field: str
    read: Reader


class Stages:
    """The stages of a query, up to some place."""

    def __init__(self, stages: Sequence[Stage] = ()) -> None:
        self.all = tuple(stages)
        self.extractions: tuple[Extraction, ...] = tuple(
            stage for stage in stages if not isinstance(stage, Where)
        )
        self.text = " | ".join(map(str, self.extractions))
        """What is equal for stages that read the same."""

    def changes(self, names: Collection[str] | None) -> bool:
        """Whether what is read may be the value of one of these fields (None: any)."""
        if not self.extractions:
            return False
        return names is None or bool(metadata_keys(names))

    def derive(self, view: View, rows: Ints, names: Collection[str] | None) -> View:
        """The view with these fields (None: all) of these rows as stages leave them.

        Raises CostError, CancelledError, FrameError and FieldError.
        """
        if not self.changes(names):
            return view
        parts = _Parts(view.rows)
        for some, metadata in self.metadata(view, rows, names):
            parts.add(some, metadata)
            if parts.size > DERIVED_BYTES:
                problem = f"more than {DERIVED_BYTES >> 20} MiB of fields in one block"
                hint = "name fewer fields, or filter before they are read"
                raise FieldError("q", problem, hint=hint)
        return _with(view, Derived(view.batch, parts))

    def pieces(
        self, view: View, rows: Ints, names: Collection[str] | None
    ) -> Iterator[tuple[Ints, View]]:
        """As `derive`, so many rows at a time as take little memory."""
        parts = _Parts(view.rows)
        first = at = 0
        for some, metadata in self.metadata(view, rows, names):
            parts.add(some, metadata)
            at += len(some)
            is_last = at == len(rows)
            if is_last or parts.size > _HELD_BYTES or at - first >= _HELD_ROWS:
                yield rows[first:at], _with(view, Derived(view.batch, parts))
                parts, first = _Parts(view.rows), at

    def metadata(
        self, view: View, rows: Ints, names: Collection[str] | None = None
    ) -> Iterator[tuple[Ints, list[Fields]]]:
        """(rows, the metadata of each) in pieces; only the keys of these fields."""
        keys = None if names is None else self._keys(names)
        steps = [
            _Step(resolve_field(stage.field), reader_of(stage, keys))
            for stage in self.extractions
        ]
        at, size = 0, 16
        while at < len(rows):
            view.check()
            some = rows[at : at + size]
            found = _own(view.batch, some, keys)
            length = sum(_run(step, view.batch, some, found) for step in steps)
            yield some, found
            at += len(some)
            fits = _PIECE_CHARACTERS * len(some) // max(length, 1)
            fields = sum(map(len, found)) // len(some)
            fits = min(fits, _PIECE_FIELDS // max(fields, 1))
            size = min(_PIECE, 4 * size, max(fits, 1))

    def _keys(self, names: Collection[str]) -> set[str]:
        """Keys of these fields, and of those that the stages read."""
        return metadata_keys([*names, *(stage.field for stage in self.extractions)])


def _own(batch: Batch, rows: Ints, keys: set[str] | None) -> list[Fields]:
    """The entries' own metadata."""
    found: list[Fields] = [{} for _ in range(len(rows))]
    for name in batch.names_among(rows):
        key = name[len(METADATA_PREFIX) :]
        if name == METADATA:
            for place, value in batch.scattered(name, rows):
                inside = value if keys is None else _only(value, keys)
                found[place].update(inside)
        elif name.startswith(METADATA_PREFIX) and (keys is None or key in keys):
            for place, value in batch.scattered(name, rows):
                found[place][key] = value
    return found


def _only(fields: Fields, keys: set[str]) -> Fields:
    return {key: value for key, value in fields.items() if key in keys}


def _run(step: _Step, batch: Batch, rows: Ints, found: list[Fields]) -> int:
    """Add what one extraction reads; the characters that it looked at."""
    length = 0
    for fields, text in zip(found, _texts(step.field, batch, rows, found), strict=True):
        if type(text) is str:
            length += len(text)
            fields.update(step.read(text))
    return length


def _texts(
    field: str, batch: Batch, rows: Ints, found: list[Fields]
) -> Iterable[object]:
    if not field.startswith(METADATA_PREFIX):
        texts: list[Any] = [None] * len(rows)
        if field in batch.columns:
            for place, value in batch.scattered(field, rows):
                texts[place] = value
        return texts
    key = field[len(METADATA_PREFIX) :]
    return [next(iter(values_at(fields, key)), None) for fields in found]


def _with(view: View, batch: Batch) -> View:
    other = copy(view)
    other.batch = batch
    return other


class _Parts:
    """Columns of the pieces, and the rows that have a value in each."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.columns: dict[str, list[Column]] = {}
        self.places: dict[str, list[Ints]] = {}
        """Ascending, as the pieces are."""
        self.size = 0

    def add(self, rows: Ints, metadata: Sequence[Fields]) -> None:
        """Another piece, of later rows."""
        values: dict[str, tuple[list[int], list[Any]]] = {}
        for place, fields in enumerate(metadata):
            for key, value in fields.items():
                places, found = values.setdefault(key, ([], []))
                places.append(place)
                found.append(value)
        for key, (places, found) in values.items():
            name = METADATA_PREFIX + key
            kind, data = encode_values(found)
            size = len(data)
            field = Field(name, kind, Codec.PLAIN, len(found), size, size)
            self.columns.setdefault(name, []).append(Column(field, data))
            self.places.setdefault(name, []).append(rows[places])
            self.size += size + 8 * len(places) + _COLUMN_BYTES


class Derived(Batch):
    """A block's columns, with others in the place of its metadata's."""

    def __init__(self, base: Batch, parts: _Parts) -> None:
        kept = {
            name: column
            for name, column in base.columns.items()
            if name != SHAPE and not name.startswith(METADATA)
        }
        own: dict[str, Column] = {
            name: columns[0] if len(columns) == 1 else JoinedColumn(name, columns)
            for name, columns in parts.columns.items()
        }
        super().__init__(base.rows, kept | own, base.size + parts.size, b"")
        self._base = base
        self._rows = {
            name: np.concatenate(places) for name, places in parts.places.items()
        }
        """That have a value in each of the columns that were read, ascending."""

    def present(self, name: str) -> Mask | None:
        """Which rows have a value."""
        if name not in self._rows:
            return self._base.present(name)
        rows = self._rows[name]
        if len(rows) == self.rows:
            return None
        mask: Mask = np.zeros(self.rows, np.bool_)
        mask[rows] = True
        return mask

    def names_among(self, rows: Mask | Ints) -> list[str]:
        """Columns that one of these rows has a value in."""
        mask: Mask = np.zeros(self.rows, np.bool_)
        mask[rows] = True
        kept = [name for name in self._base.names_among(rows) if name in self.columns]
        return kept + [name for name, held in self._rows.items() if mask[held].any()]

    def ranks_at(self, name: str, rows: Ints) -> tuple[Ints, Ints]:
        """As Batch has it."""
        if name not in self._rows:
            return self._base.ranks_at(name, rows)
        held = self._rows[name]
        ranks = np.minimum(np.searchsorted(held, rows), len(held) - 1)
        places = np.flatnonzero(held[ranks] == rows)
        return places, ranks[places]
