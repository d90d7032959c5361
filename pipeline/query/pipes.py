"""What is done with the entries that a filter leaves: `filter | pipe | pipe ...`.

`str()` of a query is a text that means it: `parse_query(str(query)) == query`.
Stages (`json`, `logfmt`, `extract`, `filter`) come first: they read fields out of texts
and keep entries by them. Pipes of rows (`fields`, `sort`, `limit`) leave entries; those
of a table (`stats`, `histogram`, `top`, `patterns`, `uniq`) make a table of them, of
which at most one stands in a query, before any pipes of rows, which then work on its
columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pipeline.query.pipe_names import name_text, names_text, resolve_field
from pipeline.query.stages import Stage
from pipeline.query.syntax import Node

__all__ = ["name_text", "resolve_field"]

Function = Literal[
    "count", "sum", "avg", "min", "max", "p50", "p95", "p99", "count_uniq", "rate"
]

TOP_ROWS: Final = 10
PATTERN_ROWS: Final = 20

_UNITS: Final = (
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
)


@dataclass(frozen=True, slots=True)
class Call:
    """One column of `stats`: a function, of one field or of the entries."""

    function: Function
    field: str | None = None
    name: str | None = None
    """What it is called; None: as it is written."""

    @property
    def column(self) -> str:
        """The name of its column."""
        return (
            f"{self.function}({self.field or ''})" if self.name is None else self.name
        )

    def __str__(self) -> str:
        field = "" if self.field is None else name_text(self.field)
        called = "" if self.name is None else f" as {name_text(self.name)}"
        return f"{self.function}({field}){called}"


@dataclass(frozen=True, slots=True)
class Stats:
    """A row for each combination of values of `by`; without, one row of all."""

    by: tuple[str, ...]
    calls: tuple[Call, ...]

    def __str__(self) -> str:
        by = f"by ({names_text(self.by)}) " if self.by else ""
        return f"stats {by}{', '.join(map(str, self.calls))}"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Entries in each span of time, empty ones too; by a field, a row a value."""

    width_ns: int | None = None
    """None: a round width that gives about 60 rows."""
    by: str | None = None

    def __str__(self) -> str:
        width = "" if self.width_ns is None else f" {age_text(self.width_ns)}"
        by = "" if self.by is None else f" by {name_text(self.by)}"
        return f"histogram{width}{by}"


@dataclass(frozen=True, slots=True)
class Top:
    """The n most frequent values of a field and their counts."""

    n: int
    field: str

    def __str__(self) -> str:
        return f"top {self.n} {name_text(self.field)}"


@dataclass(frozen=True, slots=True)
class Fields:
    """Only these fields of each entry, or columns of the table, in this order."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"fields {names_text(self.names)}"


@dataclass(frozen=True, slots=True)
class SortKey:
    """What to sort by; rows without a value come last."""

    name: str
    descending: bool = False

    def __str__(self) -> str:
        return name_text(self.name) + (" desc" if self.descending else "")


@dataclass(frozen=True, slots=True)
class Sort:
    """Rows in this order; equal ones as they came."""

    keys: tuple[SortKey, ...]

    def __str__(self) -> str:
        return f"sort {', '.join(map(str, self.keys))}"


@dataclass(frozen=True, slots=True)
class Limit:
    """The first n rows."""

    n: int

    def __str__(self) -> str:
        return f"limit {self.n}"


@dataclass(frozen=True, slots=True)
class Patterns:
    """The n most frequent patterns of messages."""

    n: int = PATTERN_ROWS

    def __str__(self) -> str:
        return f"patterns {self.n}"


@dataclass(frozen=True, slots=True)
class Uniq:
    """All values that a field has, each once."""

    field: str

    def __str__(self) -> str:
        return f"uniq {name_text(self.field)}"


TablePipe = Stats | Histogram | Top | Patterns | Uniq
RowPipe = Fields | Sort | Limit
Pipe = Stage | TablePipe | RowPipe


@dataclass(frozen=True, slots=True)
class Query:
    """A filter, and what is done with what it leaves."""

    filter: Node
    pipes: tuple[Pipe, ...] = ()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Those that read fields out of texts, and keep entries by them."""
        return tuple(pipe for pipe in self.pipes if isinstance(pipe, Stage))

    @property
    def rest(self) -> tuple[TablePipe | RowPipe, ...]:
        """What stands behind the stages."""
        return tuple(pipe for pipe in self.pipes if not isinstance(pipe, Stage))

    @property
    def entries(self) -> Query:
        """Which entries are meant: the filter and the stages alone."""
        return Query(self.filter, self.stages)

    @property
    def table(self) -> TablePipe | None:
        """The pipe that makes a table; it is the first of the rest if there is one."""
        first = self.rest[0] if self.rest else None
        return None if isinstance(first, RowPipe) else first

    @property
    def row_pipes(self) -> tuple[RowPipe, ...]:
        """Those that work on entries, or on the table's rows."""
        return tuple(pipe for pipe in self.pipes if isinstance(pipe, RowPipe))

    def __str__(self) -> str:
        parts = [str(self.filter), *map(str, self.pipes)]
        return " | ".join(parts) if parts[0] else " | ".join(parts).lstrip()


def columns_of(
    pipe: Pipe, before: tuple[str, ...] | None = None
) -> tuple[str, ...] | None:
    """The columns of the table behind a pipe; None where a text doesn't tell them."""
    match pipe:
        case Stats(by, calls):
            return (*by, *(call.column for call in calls))
        case Top(_, field):
            return (field, "count")
        case Fields(names) if before is not None:
            return names
        case Sort() | Limit():
            return before
    return None


def age_text(ns: int) -> str:
    """A length of time (whole ms) in the largest unit that it is a multiple of."""
    for unit, size in _UNITS:
        if ns % size == 0:
            return f"{ns // size}{unit}"
    raise ValueError(f"{ns} ns is no whole number of milliseconds")
