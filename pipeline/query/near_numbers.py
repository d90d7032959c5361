"""Values near those that a condition compares with, when nothing meets it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pipeline.query.aggregate.aggregation import Bounds
from pipeline.query.aggregate.stats import stats_table
from pipeline.query.cells import CellStore
from pipeline.query.conditions import Between, Compare, Typed
from pipeline.query.pipes import Call, Stats
from pipeline.query.scan import Scan

NEAREST: Final = 3


def extremes(scan: Scan, field: str) -> tuple[Any, Any, int]:
    """The least and the greatest number of a field in a scan, and its values.

    Raises CostError and CancelledError.
    """
    calls = (Call("min", field), Call("max", field), Call("count", field))
    table = stats_table(scan, Stats((), calls), [], Bounds(), CellStore())
    least, greatest, count = table.rows[0]
    return least, greatest, count


def beyond(condition: Compare | Between, least: Any, greatest: Any) -> list[Any]:
    """Which of these may be meant: the one that the bounds lie beyond, else both."""
    if isinstance(condition, Compare):
        return [greatest if condition.op.startswith(">") else least]
    low, high = condition.low, condition.high
    if isinstance(low, int | float) and low >= greatest:
        return [greatest]
    if isinstance(high, int | float) and high <= least:
        return [least]
    return list(dict.fromkeys((least, greatest)))


def nearest_numbers(condition: Typed, values: Iterable[str]) -> list[str]:
    """Those of the values, as they are shown, that are the nearest numbers."""
    wanted = _maybe_number(condition.text)
    if wanted is None:
        return []
    found = {value: _maybe_number(value) for value in values}
    near = [(abs(n - wanted), value) for value, n in found.items() if n is not None]
    return [value for _, value in sorted(near)[:NEAREST]]


def _maybe_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number else None
