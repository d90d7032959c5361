"""The table that pipes make, as replies carry it, and what later pipes do with it.

No numpy: the gateway documents the types.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from pipeline.entry import json_value
from pipeline.level import parse_level
from pipeline.query.pipes import Fields, Limit, RowPipe, Sort, SortKey
from pipeline.query.requests import FieldError
from pipeline.query.suggest import nearest

Rank = tuple[int, Any]


class Table(Struct, kw_only=True):
    """Rows of values; a value is as it was logged, null where there is none."""

    columns: Annotated[list[str], Meta(description="Names, in the order of values.")]
    rows: list[list[Any]]
    truncated: Annotated[
        bool, Meta(description="Whether there are more rows than a reply may have.")
    ]
    skipped: (
        Annotated[
            dict[str, int],
            Meta(description="By column: values that are no numbers, left out of it."),
        ]
        | UnsetType
    ) = UNSET
    estimated: (
        Annotated[
            dict[str, float],
            Meta(description="By column: largest relative error; others are exact."),
        ]
        | UnsetType
    ) = UNSET


def rank(value: Any) -> Rank:
    """What a value is ordered by: numbers, texts, booleans, then lists and maps."""
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, int | float):
        return 0, value
    if isinstance(value, str):
        return 1, value
    return 3, json.dumps(json_value(value), sort_keys=True)


def sort_places(
    keys: Sequence[SortKey], columns: Mapping[str, Sequence[Any]], places: Iterable[int]
) -> list[int]:
    """The places in the order of the columns; those without a value come last."""
    ordered = list(places)
    for key in reversed(keys):
        values = columns[key.name]
        if key.name == "level":  # by severity, not by name
            values = [parse_level(value) for value in values]
        some = [place for place in ordered if values[place] is not None]
        some.sort(key=lambda at: rank(values[at]), reverse=key.descending)
        ordered = some + [place for place in ordered if values[place] is None]
    return ordered


def _check_names(pipe: RowPipe, columns: Sequence[str]) -> None:
    """Columns that the text doesn't tell, such as a histogram's, are known here."""
    names: Iterable[str] = ()
    if isinstance(pipe, Sort):
        names = (key.name for key in pipe.keys)
    elif isinstance(pipe, Fields):
        names = pipe.names
    for name in names:
        if name not in columns:
            near = nearest(name, columns)
            raise FieldError(
                "q",
                f"the table has no column {name[:64]!r}",
                hint=f"{near}?" if near else f"columns are {', '.join(columns)}"[:400],
            )


def apply_pipes(table: Table, pipes: Iterable[RowPipe], most: int) -> Table:
    """The table after these pipes, cut to what a reply may have; raises FieldError."""
    for pipe in pipes:
        _check_names(pipe, table.columns)
        if isinstance(pipe, Sort):
            named = dict(
                zip(table.columns, zip(*table.rows, strict=True), strict=False)
            )
            if table.rows:
                places = sort_places(pipe.keys, named, range(len(table.rows)))
                table.rows = [table.rows[place] for place in places]
        elif isinstance(pipe, Limit):
            del table.rows[pipe.n :]
        elif isinstance(pipe, Fields):
            chosen = [table.columns.index(name) for name in pipe.names]
            table.rows = [[row[place] for place in chosen] for row in table.rows]
            table.columns = list(pipe.names)
    if len(table.rows) > most:
        del table.rows[most:]
        table.truncated = True
    return table
