"""What detectors of patterns and durations need of a published batch; pure.

Entries of WARN and above by source, level and pattern, and durations by source and
path. Columns that nobody asks for stay compressed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.analyzer.findings import IGNORED, Event
from pipeline.batch.column import Column
from pipeline.batch.decode import Batch
from pipeline.batch.joined import parse_block
from pipeline.batch.layout import (
    LEVEL,
    METADATA_PREFIX,
    SOURCE,
    TIMESTAMP,
    Kind,
)
from pipeline.batch.read import Ints
from pipeline.level import Level
from pipeline.limits import BLOCK_BYTES
from pipeline.query.grouped import group_rows
from pipeline.timestamp import SECOND

Floats = npt.NDArray[np.float64]

DURATION: Final = METADATA_PREFIX + "duration_ms"
PATH: Final = METADATA_PREFIX + "path"
DURATION_ROWS: Final = 2_000
"""Of one batch that are looked at, evenly spread: a p95 of a window needs hundreds,
and at 200,000 entries/s there are 20 batches a second."""


def events_of(data: bytes) -> list[Event]:
    """The groups of one batch; raises FrameError."""
    batch = parse_block(data, BLOCK_BYTES)
    watched = _watched(batch)
    severe = batch.columns[LEVEL].numbers >= Level.WARN
    groups = group_rows(batch, np.flatnonzero(severe & watched))
    events = [
        Event(one.second, one.source, one.level, one.pattern, one.template, one.count)
        for one in groups
    ]
    return events + _durations(batch, watched)


def _watched(batch: Batch) -> Any:
    """The rows of sources that the pipeline doesn't write itself."""
    source = batch.columns[SOURCE]
    wanted = np.array([name not in IGNORED for name in source.dictionary], np.bool_)
    return wanted[np.asarray(source.codes)]


def _durations(batch: Batch, watched: Any) -> list[Event]:
    column = batch.column(DURATION)
    if column is None:
        return []
    present = batch.present(DURATION)
    rows = np.arange(batch.rows) if present is None else np.flatnonzero(present)
    ranks = np.flatnonzero(watched[rows])
    ranks = ranks[:: -(-len(ranks) // DURATION_ROWS) or 1]
    values = _numbers(column, ranks)
    good = np.isfinite(values) & (values >= 0)
    rows, values = rows[ranks[good]], values[good]
    if not len(rows):
        return []
    source = batch.columns[SOURCE]
    owners = np.asarray(source.codes)[rows].astype(np.int64)
    codes, names = _paths(batch, rows)
    keys = (owners << 32) + codes
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    seconds = batch.columns[TIMESTAMP].numbers[rows] // SECOND
    found = []
    for part in np.split(order, starts[1:]):
        owner, code = divmod(int(keys[part[0]]), 1 << 32)
        begin = int(seconds[part].min())
        told = tuple(values[part].tolist())
        name, path = source.dictionary[owner], names[code]
        found.append(Event(begin, name, 0, 0, "", len(part), path, told))
    return found


def _numbers(column: Column, ranks: Ints) -> Floats:
    """Values of the column at these places; NaN for what is no number.

    Integers and fractions in one batch are PACKED.
    """
    if column.kind in (Kind.INT64, Kind.FLOAT64):
        return column.numbers[ranks].astype(np.float64)
    return np.array(
        [
            float(value) if type(value) in (int, float) else np.nan
            for value in column.values(ranks)
        ],
        np.float64,
    )


def _paths(batch: Batch, rows: Ints) -> tuple[Ints, list[str]]:
    """Of each row its place among the paths; an entry without one has none."""
    column = batch.column(PATH)
    codes = np.zeros(len(rows), np.int64)
    names = {"": 0}
    if column is None or column.kind not in (Kind.DICT, Kind.TEXT):
        return codes, list(names)
    present = batch.present(PATH)
    has = np.ones(batch.rows, np.bool_) if present is None else present
    ranks = np.cumsum(has) - 1
    mine = np.flatnonzero(has[rows])
    for place, value in zip(
        mine.tolist(), column.values(ranks[rows[mine]]), strict=True
    ):
        if isinstance(value, str):
            codes[place] = names.setdefault(value, len(names))
    return codes, list(names)
