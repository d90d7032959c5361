"""Other stores that take the same corpus and answer the same queries.

A rival prepares the corpus in the form that it loads best (not timed, as the frames of
our own pre-encoded bench are not), loads it with its best settings, and settles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from bench.measure import Load
from pipeline.entry import Entry

LIMIT: Final = 100
"""Rows of a query for the newest."""

Row: TypeAlias = tuple[int, str, int, str]
"""Timestamp, source, level and message; queries fetch the other fields too."""

Counts: TypeAlias = tuple[dict[int, int], dict[str, int]]

Cells: TypeAlias = dict[tuple[int, int], int]
"""Entries by minute since 1970 and level."""

PATTERNS: Final = 20
"""Patterns in the list of the most frequent ones."""

AROUND: Final = 10
"""Entries of context on each side."""


class Answers(Protocol):
    """The queries of `bench/query.py`; rows are newest first, at most LIMIT."""

    def trace(self, trace_id: str) -> list[Row]:
        """All entries of a trace."""
        ...

    def word(self, word: str) -> list[Row]:
        """The newest entries whose message has this word."""
        ...

    def phrase(self, phrase: str) -> list[Row]:
        """The newest entries whose message has these words in a row."""
        ...

    def newest(self, level: int, source: str) -> list[Row]:
        """The newest entries of one level and source."""
        ...

    def counts(self) -> Counts:
        """How many entries each level has, and each source."""
        ...

    def substring(self, text: str) -> int:
        """How many messages hold this text, inside words too."""
        ...


class Analytics(Protocol):
    """The queries that only stores made for analysis are asked."""

    def minutes(self) -> Cells:
        """How many entries each minute has of each level."""
        ...

    def slow(self, source: str, milliseconds: int) -> list[Row]:
        """The newest entries of a source whose `duration_ms` is above that."""
        ...

    def matching(self, pattern: str) -> int:
        """How many messages match a regular expression."""
        ...

    def percentiles(self, key: str) -> dict[str, float]:
        """The 95th percentile of `duration_ms` of a key's PATTERNS top values."""
        ...

    def patterns(self) -> list[int]:
        """Counts of the PATTERNS most frequent messages, numbers left out."""
        ...

    def around(self, hit: Row) -> list[Row]:
        """AROUND entries of the same source before and after one, and it; in order."""
        ...


class Rival(Answers, Protocol):
    """One store in one folder."""

    def prepare(self, pieces: Iterable[list[Entry]]) -> None:
        """Write the corpus into the folder, in the form that loads best."""
        ...

    def ingest(self) -> Load:
        """Load what was prepared; returns when it is durable and settled."""
        ...

    def close(self) -> None:
        """Release the store; its folder stays."""
        ...


def both_ways(counts: Iterable[tuple[int, str, int]]) -> Counts:
    """Counts by level and by source from those of each pair."""
    levels: dict[int, int] = {}
    sources: dict[str, int] = {}
    for level, source, n in counts:
        levels[level] = levels.get(level, 0) + n
        sources[source] = sources.get(source, 0) + n
    return levels, sources


_MODULES: Final = {
    "sqlite-rows": "bench.rivals.sqlite_rows",
    "sqlite-fts5": "bench.rivals.sqlite_fts5",
    "chdb": "bench.rivals.chdb_table",
    "victorialogs": "bench.rivals.victorialogs",
}

NAMES: Final = tuple(_MODULES)
LOCAL: Final = NAMES[:3]
"""Those that need no server of their own."""


def open_rival(name: str, folder: Path, address: str = "") -> Rival:
    """The rival of this name with its data in the folder (or at the address)."""
    make: Callable[[Path, str], Rival] = import_module(_MODULES[name]).open_store
    folder.mkdir(parents=True, exist_ok=True)
    return make(folder, address)
