"""`stats by (fields) functions`: a row for each group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from msgspec import UNSET

from pipeline.query.aggregate.aggregation import Aggregation, Bounds
from pipeline.query.cells import CellStore
from pipeline.query.pipes import Limit, RowPipe, Sort, Stats, resolve_field
from pipeline.query.requests import FieldError
from pipeline.query.scan import Scan
from pipeline.query.stats import extent
from pipeline.query.tables import Table, apply_pipes, rank, sort_places
from pipeline.query.text import Ints
from pipeline.timestamp import SECOND

SORTED_ROWS: Final = 100_000
"""Groups at most whose values are read to sort by them."""


def stats_table(
    scan: Scan, pipe: Stats, pipes: Sequence[RowPipe], bounds: Bounds, cells: CellStore
) -> Table:
    """The groups with most entries first, and then by value, unless sorted."""
    fields = [resolve_field(name) for name in pipe.by]
    span = extent(scan)
    seconds = 0.0 if span is None else (span[1] - span[0] + 1) / SECOND
    found = Aggregation(fields, pipe.calls, seconds, bounds.groups)
    found.run(scan, cells)
    counts = found.entries.counts(np.arange(found.size))
    order = np.argsort(-counts, kind="stable")
    chosen, rest, is_sorted = _choose(found, order, list(pipes), bounds.rows)
    rows = _rows(found, scan, fields, chosen)
    if not is_sorted:
        sizes = counts[chosen].tolist()
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


def _last(value: Any) -> tuple[bool, Any]:
    return (value is None, () if value is None else rank(value))


def _choose(
    found: Aggregation, chosen: Ints, pipes: list[RowPipe], most: int
) -> tuple[Ints, list[RowPipe], bool]:
    """Groups that can be in the reply, pipes still to apply, whether in order now.

    Sorting by what was worked out, and cutting, needs no group's values.
    """
    is_sorted = False
    columns = {call.column: at for at, call in enumerate(found.calls)}
    while pipes:
        pipe = pipes[0]
        if isinstance(pipe, Limit):
            if not is_sorted and len(pipes) == 1:
                return with_ties(found, chosen, pipe.n), pipes, False
            chosen = chosen[: pipe.n]
        elif isinstance(pipe, Sort) and all(key.name in columns for key in pipe.keys):
            named = {
                key.name: found.operators[columns[key.name]].column(chosen)
                for key in pipe.keys
            }
            places = sort_places(pipe.keys, named, range(len(chosen)))
            chosen, is_sorted = chosen[places], True
        else:
            break
        pipes = pipes[1:]
    if any(isinstance(pipe, Sort) for pipe in pipes):
        if len(chosen) > SORTED_ROWS:
            problem = f"more than {SORTED_ROWS:,} groups to sort by their values"
            raise FieldError("q", problem, hint="narrow the time range or add a limit")
        return chosen, pipes, is_sorted
    if not is_sorted:
        return with_ties(found, chosen, most + 1), pipes, False
    return chosen[: most + 1], pipes, True


def with_ties(found: Aggregation, chosen: Ints, most: int) -> Ints:
    """The first groups, and (if few) those with as many entries as the last."""
    if len(chosen) <= most:
        return chosen
    counts = found.entries.counts(chosen)
    end = int(np.searchsorted(-counts, -counts[most - 1], "right"))
    return chosen[: end if end - most <= SORTED_ROWS else most]


def _rows(
    found: Aggregation, scan: Scan, fields: Sequence[str], chosen: Ints
) -> list[list[Any]]:
    columns = [operator.column(chosen) for operator in found.operators]
    if not fields:
        return [[column[0] for column in columns]]
    values = found.grouping.values(scan, chosen)
    places = [found.grouping.fields.index(field) for field in fields]
    return [
        [*(value[place] for place in places), *rest]
        for value, *rest in zip(values, *columns, strict=True)
    ]
