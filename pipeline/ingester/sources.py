"""Entries of sources that their sender may not write are refused, each by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline import audit
from pipeline.batch.layout import SOURCE
from pipeline.errors import EntryError
from pipeline.store.select import select
from pipeline.wire.codec import Decoded, Rejected, Rows

Check = Callable[[str], None]
"""Raises EntryError for a source that the sender may not write."""


def check_unaudited(source: str) -> None:
    """Nobody but the ingester writes the audit."""
    if source == audit.SOURCE:
        problem = f"{source!r} is append-only"
        raise EntryError("source", problem, audit.EXPECTED)


def check_batch(decoded: Decoded, check: Check) -> Decoded:
    """The batch without what is refused."""
    batch = decoded.batch
    if batch is None:
        return decoded
    column = batch.columns[SOURCE]
    found = {place: _error(name, check) for place, name in enumerate(column.dictionary)}
    errors = {place: error for place, error in found.items() if error is not None}
    if not errors:
        return decoded
    keep = ~np.isin(column.codes, list(errors))
    places = np.flatnonzero(~keep)
    codes = column.codes[places].tolist()
    rejected = [
        Rejected(place, errors[code], {"source": row.source, "message": row.message})
        for place, code, row in zip(
            places.tolist(), codes, batch.entries(places), strict=True
        )
    ]
    offsets = np.arange(batch.rows) if decoded.offsets is None else decoded.offsets
    left = select(batch, keep) if keep.any() else None
    return Decoded(left, offsets[keep], [*decoded.rejected, *rejected])


def check_rows(rows: Rows, check: Check) -> Rows:
    """The entries of a plain message without what is refused."""
    names = {row.source for row in rows.entries}
    found = {name: _error(name, check) for name in names}
    errors = {name: error for name, error in found.items() if error is not None}
    if not errors:
        return rows
    kept, places, rejected = [], [], list(rows.rejected)
    for row, place in zip(rows.entries, rows.places, strict=True):
        if row.source in errors:
            what = {"source": row.source, "message": row.message}
            rejected.append(Rejected(place, errors[row.source], what))
        else:
            kept.append(row)
            places.append(place)
    return Rows(kept, places, rejected)


def _error(source: str, check: Check) -> EntryError | None:
    try:
        check(source)
    except EntryError as error:
        return error
    return None
