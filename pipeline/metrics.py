"""Every metric of the pipeline: its name, its meaning and its remedy, from METRICS.md.

The processes tell numbers as maps within maps: the ingester's status, the analyzer's,
the gateway's own.  A metric's `path` says where in them its values stand; `*` stands
for any key, which is the value of its label.  Names as Prometheus has them:
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

ANY: Final = "*"
_COLUMNS: Final = 7

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the page."""

    name: str
    kind: str
    """counter, gauge or histogram."""

    unit: str
    path: Path
    """Empty for a histogram, which is no single number."""

    label: str
    meaning: str
    remedy: str
    """What to do when it is not as it should be; empty where any value is well."""


SILENT: Final[frozenset[Path]] = frozenset(
    {
        *(("ingester", name) for name in ("pid", "time", "heard_seconds")),
        ("ingester", "compaction", "worker_pid"),
        ("analyzer", "pid"),
    }
)
"""Numbers that the processes tell and that count nothing."""


@cache
def metrics() -> tuple[Metric, ...]:
    """All of them, in the order of the page."""
    text = files("pipeline").joinpath("METRICS.md").read_text("utf-8")
    rows = (line for line in text.splitlines() if line.startswith("| `"))
    return tuple(map(_read, rows))


def _read(row: str) -> Metric:
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    if len(cells) != _COLUMNS:
        raise ValueError(f"METRICS.md: {len(cells)} columns in {row[:80]!r}")
    name, kind, unit, path, label, meaning, remedy = cells
    parts = tuple(path.split(".")) if path else ()
    return Metric(name.strip("`"), kind, unit, parts, label, meaning, remedy)


def values(state: Mapping[str, Any]) -> Iterator[tuple[Metric, str, float]]:
    """(metric, value of its label, value) of all that the processes told."""
    for metric in metrics():
        if metric.path:
            for label, value in _found(state, metric.path):
                if isinstance(value, int | float):
                    yield metric, label, float(value)


def undeclared(state: Mapping[str, Any]) -> list[Path]:
    """Where numbers stand that no row has: they have to be declared."""
    known = [metric.path for metric in metrics()]
    return [
        path
        for path, value in _numbers(state)
        if path not in SILENT and not any(_is_like(path, each) for each in known)
    ]


def _found(state: Any, path: Path, label: str = "") -> Iterator[tuple[str, Any]]:
    if not path:
        yield label, state
    elif isinstance(state, Mapping):
        if path[0] == ANY:
            for key, value in state.items():
                yield from _found(value, path[1:], str(key))
        elif path[0] in state:
            yield from _found(state[path[0]], path[1:], label)


def _numbers(state: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in state.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, (*path, str(key)))
        elif isinstance(value, int | float):
            yield (*path, str(key)), value


def _is_like(path: Path, pattern: Path) -> bool:
    return len(path) == len(pattern) and all(
        part in (ANY, name) for name, part in zip(path, pattern, strict=True)
    )
