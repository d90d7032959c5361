"""How long the requests of each path took: of each route, where entries have one."""

from __future__ import annotations

import re
from typing import Any, Final

from pipeline.query.aggregate.grouping import ValuesError
from pipeline.query.aggregate.groups import ManyGroupsError
from pipeline.query.aggregate.percentile import ManyNumbersError
from pipeline.query.requests import QUERY_CHARACTERS
from pipeline.tools.snapshot import Snapshot, Window

PATHS: Final = 30
"""Of a reply at most."""

PathRow = list[Any]
"""Path, requests, p50, p95, p99 and the longest."""

_P95: Final = 3
_TOO_MANY: Final = (ManyGroupsError, ManyNumbersError, ValuesError)
_MANY: Final = (
    "there are too many different paths for a table of all: listed are those with the"
    " slowest requests; a shorter timerange has all"
)
_SPECIAL: Final = re.compile("[^a-zA-Z0-9_-]")
_CHARACTERS: Final = QUERY_CHARACTERS * 3 // 4
"""Of the patterns of all paths together."""

_KINDS: Final = (("route", "route:*"), ("path", "path:* -route:*"))


def slowest_paths(
    snapshot: Snapshot, window: Window, timed: str, slow: str
) -> tuple[list[PathRow], list[str]]:
    """Those with the highest p95, one more than PATHS if there are more; and hints.

    `timed` are the requests that count, `slow` is the condition for slow ones. The
    figures are of all requests of a path, slow or not.
    """
    rows: list[PathRow] = []
    hints: list[str] = []
    for field, which in _KINDS:
        asked = f"{timed} {which}"
        try:
            rows += _table(snapshot, window, field, asked)
        except _TOO_MANY:
            rows += _of_the_slow(snapshot, window, field, asked, slow)
            hints = [_MANY]
    return sorted(rows, key=_p95, reverse=True)[: PATHS + 1], hints


def _of_the_slow(
    snapshot: Snapshot, window: Window, field: str, asked: str, slow: str
) -> list[PathRow]:
    """The paths with slow requests, and what all of their requests took."""
    try:
        found = _table(snapshot, window, field, f"{asked} {slow}")
    except _TOO_MANY:
        return []
    names = [_exactly(row[0]) for row in found if isinstance(row[0], str)]
    while sum(map(len, names)) > _CHARACTERS:
        names.pop()
    if not names:
        return []
    only = f"{field}:/^(?:{'|'.join(names)})$/"
    return _table(snapshot, window, field, f"{asked} {only}")


def _table(snapshot: Snapshot, window: Window, field: str, asked: str) -> list[PathRow]:
    text = (
        f"{asked} | stats by ({field}) count() as n,"
        " p50(duration_ms) as p50, p95(duration_ms) as p95, p99(duration_ms) as p99,"
        f" max(duration_ms) as longest | sort p95 desc | limit {PATHS + 1}"
    )
    rows: list[PathRow] = snapshot.ask("aggregate", q=text, **window)["table"]["rows"]
    return rows


def _exactly(name: str) -> str:
    """A pattern of this very text, which no reader of patterns takes for another."""
    return _SPECIAL.sub(lambda found: f"\\x{{{ord(found[0]):x}}}", name)


def _p95(row: PathRow) -> float:
    found = row[_P95]
    return found if isinstance(found, int | float) else -1.0
