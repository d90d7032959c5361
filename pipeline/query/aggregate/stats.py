"""`stats by (fields) functions`: a row for each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import UNSET

from pipeline.query.aggregate.aggregation import Aggregation, Bounds
from pipeline.query.aggregate.hashing import NOTHING
from pipeline.query.cells import CellStore
from pipeline.query.pipes import Limit, RowPipe, Sort, Stats, resolve_field
from pipeline.query.requests import FieldError
from pipeline.query.scan import Scan
from pipeline.query.stats import extent
from pipeline.query.tables import Table, apply_pipes, rank, sort_places
from pipeline.query.text import Ints
from pipeline.timestamp import SECOND

SORTED_ROWS: Final = 50_000
"""Groups at most whose values are read to sort by them: 200 bytes and more each."""

_INT32: Final = 1 << 31
_PIECE: Final = 1 << 14
"""Groups sorted between two looks at the budget."""


def stats_table(
    scan: Scan, pipe: Stats, pipes: Sequence[RowPipe], bounds: Bounds, cells: CellStore
) -> Table:
    """The groups with most entries first, and then by value, unless sorted."""
    fields = [resolve_field(name) for name in pipe.by]
    span = extent(scan)
    seconds = 0.0 if span is None else (span[1] - span[0] + 1) / SECOND
    found = Aggregation(fields, pipe.calls, seconds, bounds.groups)
    found.run(scan, cells, _frequent(pipe, pipes, bounds.rows))
    chosen, rest, is_sorted = _choose(found, scan, list(pipes), bounds.rows)
    needed = len(chosen)
    if not is_sorted and not any(isinstance(pipe, Sort) for pipe in rest):
        needed = min([bounds.rows + 1, *(p.n for p in rest if isinstance(p, Limit))])
    chosen, rows = _rows(found, scan, fields, chosen, needed)
    if not is_sorted:
        sizes = found.entries.counts(chosen).tolist()
        keys = [
            (-size, *map(_last, row[: len(fields)]))
            for size, row in zip(sizes, rows, strict=True)
        ]
        rows = [rows[at] for at in sorted(range(len(rows)), key=keys.__getitem__)]
    errors = {
        call.column: operator.error
        for call, operator in zip(pipe.calls, found.operators, strict=True)
        if operator.error is not None
    }
    table = Table(
        columns=[*pipe.by, *(call.column for call in pipe.calls)],
        rows=rows,
        truncated=False,
        skipped=found.skipped or UNSET,
        estimated=errors or UNSET,
    )
    return apply_pipes(table, rest, bounds.rows)


def _frequent(pipe: Stats, pipes: Sequence[RowPipe], most: int) -> int | None:
    """How many groups with most entries make the reply; None where others may."""
    first = pipes[0] if pipes else None
    if isinstance(first, Limit):
        return first.n
    if isinstance(first, Sort):
        key = first.keys[0]
        sizes = [call.column for call in pipe.calls if call.field is None]
        is_size = key.descending and key.name in sizes
        return _wanted(pipes[1:], most) if is_size else None
    return None if any(isinstance(each, Sort) for each in pipes) else most + 1


def _last(value: Any) -> tuple[bool, Any]:
    return (value is None, () if value is None else rank(value))


def _choose(
    found: Aggregation, scan: Scan, pipes: list[RowPipe], most: int
) -> tuple[Ints, list[RowPipe], bool]:
    """Groups that can be in the reply, pipes still to apply, whether in order now.

    Sorting by what was worked out, and cutting, needs no group's values.
    """
    is_sorted = False
    chosen: Ints | None = None
    columns = {call.column for call in found.calls}
    while pipes:
        pipe, following = pipes[0], pipes[1:]
        if isinstance(pipe, Limit):
            if not is_sorted and not following:
                return most_frequent(found, pipe.n), pipes, False
            if chosen is None:
                chosen = most_frequent(found, pipe.n)
            chosen = chosen[: pipe.n]
        elif isinstance(pipe, Sort) and columns.issuperset(k.name for k in pipe.keys):
            wanted = _wanted(following, most)
            if chosen is None:
                chosen = by_frequency(found, wanted)
            chosen, is_sorted = _sort(found, scan, pipe, chosen, wanted), True
        else:
            break
        pipes = following
    if any(isinstance(pipe, Sort) for pipe in pipes):
        size = found.size if chosen is None else len(chosen)
        if size > SORTED_ROWS:
            problem = f"more than {SORTED_ROWS:,} groups to sort by their values"
            raise FieldError("q", problem, hint="narrow the time range or add a limit")
        chosen = by_frequency(found, None) if chosen is None else chosen
        return chosen, pipes, is_sorted
    if chosen is None:
        return most_frequent(found, most + 1), pipes, False
    return chosen[: most + 1], pipes, is_sorted


def _wanted(following: Sequence[RowPipe], most: int) -> int | None:
    """How many rows behind a sort can be in the reply; None where all may."""
    if following and isinstance(following[0], Limit):
        return following[0].n
    return None if any(isinstance(pipe, Sort) for pipe in following) else most + 1


def by_frequency(found: Aggregation, wanted: int | None) -> Ints:
    """All groups, those with most entries first; raises FieldError."""
    if wanted is None and found.size > SORTED_ROWS:
        problem = f"more than {SORTED_ROWS:,} groups to sort twice"
        raise FieldError("q", problem, hint="put a limit behind the first sort")
    counts = found.entries.counts(np.arange(found.size))
    return np.argsort(-counts, kind="stable")


def _sort(
    found: Aggregation, scan: Scan, pipe: Sort, chosen: Ints, wanted: int | None
) -> Ints:
    """The first groups by these columns, in pieces: Python's values take memory."""
    columns = {call.column: at for at, call in enumerate(found.calls)}
    wanted = len(chosen) if wanted is None else wanted
    best: Ints = chosen[:0]
    for at in range(0, len(chosen), _PIECE):
        scan.budget.check()
        some = np.concatenate([best, chosen[at : at + _PIECE]])
        named = {
            key.name: found.operators[columns[key.name]].column(some)
            for key in pipe.keys
        }
        best = some[sort_places(pipe.keys, named, range(len(some)))[:wanted]]
    return best


def most_frequent(found: Aggregation, most: int, *, valued: bool = False) -> Ints:
    """The groups with most entries first, and those with as many as the last of them.

    Of more than SORTED_ROWS such only as many as are wanted. `valued` leaves out null.
    """
    counts = found.entries.counts(slice(found.size))
    if counts.max(initial=0) < _INT32:  # half the memory: there may be a million
        counts = counts.astype(np.int32)
    if valued:
        counts[found.grouping.groups.hashes[: found.size] == NOTHING] = -1
    last = max(len(counts) - most, 0)
    border = max(np.partition(counts, last)[last], 0) if len(counts) else 0
    above, ties = np.flatnonzero(counts > border), np.flatnonzero(counts == border)
    if len(above) + len(ties) - most > SORTED_ROWS:
        ties = ties[: most - len(above)].copy()
    groups = np.sort(np.concatenate([above, ties]))
    return np.asarray(groups[np.argsort(-counts[groups], kind="stable")])


def _rows(
    found: Aggregation, scan: Scan, fields: Sequence[str], chosen: Ints, needed: int
) -> tuple[Ints, list[list[Any]]]:
    """Groups and their rows; more than needed unless their values are too long."""
    if not fields:
        columns = [operator.column(chosen) for operator in found.operators]
        return chosen, [[column[0] for column in columns]]
    chosen, values = found.values(scan, chosen, needed)
    columns = [operator.column(chosen) for operator in found.operators]
    places = [found.grouping.fields.index(field) for field in fields]
    rows = [
        [*(value[place] for place in places), *rest]
        for value, *rest in zip(values, *columns, strict=True)
    ]
    return chosen, rows
