"""Tables: aligned for people, separated by tabs for programs; and small charts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.cli.printable import cut, on_one_line, padded, width

CELL_COLUMNS: Final = 100
"""A longer text is cut where tables are aligned; programs get all of it."""

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_HEIGHTS: Final = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by name, and rows of values as JSON has them."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def aligned(table: Table) -> list[str]:
    """Lines in columns, numbers on the right, with the names above."""
    numeric = [
        all(_is_number(row[place]) or row[place] is None for row in table.rows)
        and bool(table.rows)
        for place in range(len(table.columns))
    ]
    shown = [[cut(on_one_line(name), CELL_COLUMNS) for name in table.columns]]
    shown += [[cut(_shown(value), CELL_COLUMNS) for value in row] for row in table.rows]
    widths = [max(map(width, column)) for column in zip(*shown, strict=True)]
    return [
        "  ".join(
            padded(cell, columns, right=right)
            for cell, columns, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in shown
    ]


def separated(table: Table) -> list[str]:
    """Lines with tabs between; a tab or line break in a value stands as its name."""
    lines = ["\t".join(map(on_one_line, table.columns))]
    lines += ["\t".join(map(_exact, row)) for row in table.rows]
    return lines


def bar(value: float, most: float, columns: int) -> str:
    """A bar whose full length is `most`, in eighths of a column."""
    if most <= 0 or value <= 0:
        return ""
    eighths = max(1, round(value / most * columns * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def sparkline(counts: Sequence[float], columns: int) -> str:
    """One character for each count, or for some neighbours where there are more."""
    if len(counts) > columns:
        step = -(-len(counts) // columns)
        counts = [sum(counts[at : at + step]) for at in range(0, len(counts), step)]
    most = max(counts, default=0)
    if most <= 0:
        return _HEIGHTS[0] * len(counts)
    top = len(_HEIGHTS) - 1
    return "".join(
        _HEIGHTS[min(top, max(count > 0, int(count / most * top + 0.5)))]
        for count in counts
    )


def with_bars(table: Table, place: int, columns: int) -> list[str]:
    """The aligned table, and a bar at the end of each row for one of its columns."""
    head, *lines = aligned(table)
    counts = [_number(row[place]) for row in table.rows]
    most = max(counts, default=0.0)
    widest = max(map(width, [head, *lines]))
    room = columns - widest - 2
    if room < 8:
        return [head, *lines]
    return [
        head,
        *_barred(zip(lines, counts, strict=True), most, widest, min(room, 40)),
    ]


def _barred(
    lines: Iterable[tuple[str, float]], most: float, widest: int, columns: int
) -> Iterable[str]:
    for line, count in lines:
        yield f"{padded(line, widest)}  {bar(count, most, columns)}".rstrip()


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _exact(value)


def _exact(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return on_one_line(text)
