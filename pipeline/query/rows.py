"""Chosen rows of an opened block as the JSON that replies carry.

Only the columns that the wanted fields need are decoded. Rows are encoded at once, so
that a page's size in bytes is known, and bounded, while it grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
import numpy as np

from pipeline.batch.decode import Batch
from pipeline.batch.layout import METADATA, METADATA_PREFIX, REQUIRED
from pipeline.entry import Entry, encode_id, entry_to_json
from pipeline.query.remembered import Row, Written
from pipeline.query.requests import FIELDS, FieldError
from pipeline.query.text import Ints
from pipeline.query.values import values_at
from pipeline.query.view import Extracting, View
from pipeline.store.reader import Header

__all__ = ["Renderer", "Row"]

_AT_ONCE: Final = 1024
_FEW: Final = 64
"""Rows that are kept as they were written: a page's of one block, not an export's."""


class Renderer:
    """Makes rows with the wanted fields; None wants them all."""

    def __init__(self, fields: Sequence[str] | None) -> None:
        self._fields = _checked(fields)
        self._keys = [
            name[len(METADATA_PREFIX) :]
            for name in fields or ()
            if name.startswith(METADATA_PREFIX)
        ]
        self._encode = msgspec.json.Encoder().encode
        named = msgspec.json.encode(None if fields is None else sorted(fields))
        self._form = blake2b(named, digest_size=16).digest()

    def rows(self, view: View, places: Ints, context: bool | None = None) -> list[Row]:
        """The rows at these places; `context` adds that flag to each.

        Raises as a budget's check does: 1,000 rows take some 10 ms.
        """
        if len(places) <= _FEW:
            return self._render_few(view, places, context)
        rows: list[Row] = []
        for start in range(0, len(places), _AT_ONCE):
            view.check()
            rows += self._render(view, places[start : start + _AT_ONCE], context)
        return rows

    def written(
        self,
        written: Written,
        header: Header,
        places: Ints,
        context: bool | None,
        stages: Extracting | None = None,
    ) -> list[Row] | None:
        """The rows, if all of them were written for a reply before."""
        if len(places) > _FEW:
            return None
        form = self._form, context, stages and stages.text
        found = [written.get(header, place, form) for place in places.tolist()]
        return [row for row in found if row] if None not in found else None

    def _render_few(self, view: View, places: Ints, context: bool | None) -> list[Row]:
        """As `rows`, of which some may have been written before."""
        header, written, stages = view.header, view.written, view.stages
        form = self._form, context, stages and stages.text
        found = {place: written.get(header, place, form) for place in places.tolist()}
        missing = [place for place, row in found.items() if row is None]
        if missing:
            view.check()
            for row in self._render(view, np.array(missing), context):
                written.put(header, form, row)
                found[row.place] = row
        return [row for row in found.values() if row is not None]

    def _render(self, view: View, places: Ints, context: bool | None) -> list[Row]:
        extra = {} if context is None else {"context": context}
        rows = []
        entries = self._entries(view, places)
        identities = view.block.identities(places)
        for place, entry, (producer, number) in zip(
            places.tolist(), entries, identities, strict=True
        ):
            identity = encode_id(entry.timestamp, producer, number)
            shown = self._pick(entry_to_json(entry, identity)) | extra
            key = (entry.timestamp, producer, number)
            json = self._encode(shown)
            rows.append(Row(key, entry.source, view.block.id, place, json))
        return rows

    def _entries(self, view: View, places: Ints) -> list[Entry]:
        """The wanted fields of these entries, and what stages read of them."""
        names = self._wanted(view.batch, places)
        every = self._fields is None or METADATA in self._fields
        if view.stages is None or not (every or self._keys):
            return view.batch.entries(places, names)
        keys = None if every else [METADATA_PREFIX + key for key in self._keys]
        found: dict[int, dict[str, Any]] = {}
        for rows, metadata in view.stages.metadata(view, np.sort(places), keys):
            found |= zip(rows.tolist(), metadata, strict=True)
        names = [name for name in names if not name.startswith(METADATA)]
        return [
            entry._replace(metadata=found[place])
            for place, entry in zip(
                places.tolist(), view.batch.entries(places, names), strict=True
            )
        ]

    def _wanted(self, batch: Batch, places: Ints) -> list[str]:
        """Names of the optional columns to decode: those that these rows have."""
        names = batch.names_among(places)[len(REQUIRED) :]
        if self._fields is None or METADATA in self._fields:
            return names
        heads = {
            METADATA_PREFIX + key[:end]
            for key in self._keys
            for end in (*_dots(key), len(key))
        }
        if self._keys:
            heads.add(METADATA)
        return [name for name in names if name in heads or name in self._fields]

    def _pick(self, shown: dict[str, Any]) -> dict[str, Any]:
        """The wanted fields only, in the order of all replies."""
        if self._fields is None:
            return shown
        if self._keys and METADATA not in self._fields:
            found = {key: values_at(shown[METADATA], key) for key in self._keys}
            shown[METADATA] = {key: at[0] for key, at in found.items() if at}
        wanted = self._fields | ({METADATA} if self._keys else set())
        return {name: value for name, value in shown.items() if name in wanted}


def _checked(fields: Sequence[str] | None) -> frozenset[str] | None:
    if not fields:
        return None
    for name in fields:
        if name not in FIELDS and not name.startswith(METADATA_PREFIX):
            known = ", ".join(FIELDS)
            hint = f"fields are {known} and metadata.<key>"
            raise FieldError("fields", f"unknown field {name!r}", hint=hint)
    return frozenset(name for name in fields if name in FIELDS)


def _dots(key: str) -> list[int]:
    return [place for place, character in enumerate(key) if character == "."]
