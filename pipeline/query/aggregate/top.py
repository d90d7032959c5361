"""`top n field` and `uniq field`: the values of a field, with and without counts."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.query.aggregate.aggregation import Aggregation, Bounds
from pipeline.query.aggregate.stats import SORTED_ROWS, most_frequent
from pipeline.query.cells import CellStore
from pipeline.query.pipes import RowPipe, Top, Uniq, resolve_field
from pipeline.query.scan import Scan
from pipeline.query.tables import Table, apply_pipes, rank


def top_table(
    scan: Scan, pipe: Top, pipes: Sequence[RowPipe], bounds: Bounds, cells: CellStore
) -> Table:
    """The most frequent values of a field; those of one count in their order."""
    # null, which is left out, may be one of them
    found = _counted(scan, pipe.field, bounds, cells, pipe.n + 1)
    chosen = most_frequent(found, pipe.n, valued=True)
    chosen, values = found.values(scan, chosen, pipe.n)
    numbers = found.entries.column(chosen)
    rows = [[value, count] for (value,), count in zip(values, numbers, strict=True)]
    rows.sort(key=lambda row: (-row[1], rank(row[0])))
    table = Table(columns=[pipe.field, "count"], rows=rows[: pipe.n], truncated=False)
    return apply_pipes(table, pipes, bounds.rows)


def uniq_table(
    scan: Scan, pipe: Uniq, pipes: Sequence[RowPipe], bounds: Bounds, cells: CellStore
) -> Table:
    """Each value of a field once, in order."""
    found = _counted(scan, pipe.field, bounds, cells)
    chosen = found.has_values()
    truncated = len(chosen) > SORTED_ROWS
    chosen, values = found.values(scan, chosen[:SORTED_ROWS], bounds.rows + 1)
    rows = sorted(map(list, values), key=lambda row: rank(row[0]))
    table = Table(columns=[pipe.field], rows=rows, truncated=truncated)
    return apply_pipes(table, pipes, bounds.rows)


def _counted(
    scan: Scan, field: str, bounds: Bounds, cells: CellStore, top: int | None = None
) -> Aggregation:
    found = Aggregation([resolve_field(field)], [], 0.0, bounds.groups)
    found.run(scan, cells, top)
    return found
