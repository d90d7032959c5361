"""The table that a query's pipes make of the entries that match its filter."""

from __future__ import annotations

from pipeline.query.aggregate.aggregation import Bounds
from pipeline.query.aggregate.patterns import patterns_table
from pipeline.query.aggregate.stats import stats_table
from pipeline.query.aggregate.timeline import histogram_table
from pipeline.query.aggregate.top import top_table, uniq_table
from pipeline.query.cells import CellStore
from pipeline.query.pipes import Call, Histogram, Patterns, Query, Stats, Top, Uniq
from pipeline.query.scan import Scan
from pipeline.query.tables import Table

_ALL = Stats((), (Call("count"),))
"""What `aggregate` makes without a pipe that makes a table."""


def make_table(scan: Scan, query: Query, bounds: Bounds, cells: CellStore) -> Table:
    """The table; raises QueryError of any kind, and StoreError."""
    rest = query.row_pipes
    match query.table:
        case None:
            return stats_table(scan, _ALL, rest, bounds, cells)
        case Stats() as pipe:
            return stats_table(scan, pipe, rest, bounds, cells)
        case Histogram() as pipe:
            return histogram_table(scan, pipe, rest, bounds, cells)
        case Top() as pipe:
            return top_table(scan, pipe, rest, bounds, cells)
        case Patterns() as pipe:
            return patterns_table(scan, pipe, rest, bounds, cells)
        case Uniq() as pipe:
            return uniq_table(scan, pipe, rest, bounds, cells)
