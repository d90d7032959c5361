"""The questions of `bench.query`, and how the pipeline is asked each of them.

A question names a method of `bench.rivals.Answers` or `Analytics` and its arguments;
a store without the method is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bench.corpus import Facts
from bench.rivals import AROUND, LIMIT, PATTERNS, Cells, Counts, Row
from pipeline.level import LEVEL_NAMES, parse_level
from pipeline.timestamp import parse_timestamp

Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""(method, parameters) to the result."""

SLOW: Final = ("api-gateway", 1000)
REGEX: Final = "50[0-9] upstream [a-z-]+ failed"
REGEX_OF_VALUES: Final = "[0-9]+[.][0-9]9 (EUR|USD)"
"""Where no text of the line itself has to stand in front of the numbers."""

_MINUTE: Final = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the table."""

    name: str
    method: str
    arguments: tuple[Any, ...] = ()
    page: bool = False
    """Whether it gives a page of entries: those are asked through the gateway too."""

    same: Callable[[Any], object] = lambda answer: answer
    """What all stores must agree about."""

    def ask(self, store: Any) -> Any:
        """The store's answer."""
        return getattr(store, self.method)(*self.arguments)

    def is_for(self, store: Any) -> bool:
        """Whether the store can be asked."""
        return hasattr(store, self.method)


def questions(known: Facts, hit: Row | None = None) -> list[Question]:
    """All of them; `hit` is an entry that a page had, without it Q12 is left out."""
    around = [Question("Q12 20 lines around a hit", "around", (hit,))] if hit else []
    return [
        Question("Q1 one trace id", "trace", (known.trace_id,), page=True),
        Question("Q2 rare word", "word", (known.rare_word,), page=True),
        Question("Q2b rare word, in any field", "anywhere", (known.rare_word,)),
        Question("Q3 newest 100 of a phrase", "phrase", (known.phrase,), page=True),
        Question(
            "Q4 newest 100 of level and source", "newest", (17, "database"), page=True
        ),
        Question("Q5 counts by level and source", "counts"),
        Question("Q6 per minute by level", "minutes"),
        Question("Q7 newest 100 slower than 1 s", "slow", SLOW, page=True),
        Question("Q8 count of a regex", "matching", (REGEX,)),
        Question("Q8b count of a regex of values", "matching", (REGEX_OF_VALUES,)),
        Question("Q9 count of a substring", "substring", (known.substring,)),
        # estimates: only the groups can be compared
        Question("Q10 p95 of duration by path", "percentiles", ("path",), same=sorted),
        Question(
            "Q10b p95 of duration by method", "percentiles", ("method",), same=sorted
        ),
        # stores differ on words outside ASCII: the most frequent have none
        Question("Q11 top 20 patterns", "patterns", same=lambda found: found[:10]),
        *around,
        Question("exact count of the phrase", "substring", (known.phrase,)),
    ]


class Pipeline:
    """The questions in the pipeline's own words, through a worker or the gateway."""

    def __init__(self, ask: Ask, ids: dict[Row, str] | None = None) -> None:
        self._ask = ask
        self.ids = {} if ids is None else ids
        """Of the entries that pages had."""

    def trace(self, trace_id: str) -> list[Row]:
        """All entries of a trace."""
        return self._rows(trace_id=trace_id)

    def word(self, word: str) -> list[Row]:
        """The newest entries whose message has this word."""
        return self._rows(q=f"message:{word}")

    def anywhere(self, word: str) -> list[Row]:
        """The newest entries with this word in message, tags, trace id or metadata."""
        return self._rows(q=word)

    def phrase(self, phrase: str) -> list[Row]:
        """The newest entries whose message has these words in a row."""
        return self._rows(q=f'message:"{phrase}"')

    def newest(self, level: int, source: str) -> list[Row]:
        """The newest entries of one level and source."""
        return self._rows(levels=[LEVEL_NAMES[level]], sources=[source])

    def counts(self) -> Counts:
        """How many entries each level has, and each source."""
        found = self._ask("get_stats", {})
        levels = {_number(name): n for name, n in found["by_level"].items() if n}
        return levels, dict(found["by_source"])

    def minutes(self) -> Cells:
        """Entries by minute and level."""
        rows = self._table("* | histogram 1m by level")
        return {
            (parse_timestamp(time, 0) // _MINUTE, _number(level)): n
            for time, level, n in rows
            if n
        }

    def slow(self, source: str, milliseconds: int) -> list[Row]:
        """The newest entries of a source that took longer."""
        return self._rows(sources=[source], q=f"metadata.duration_ms:>{milliseconds}")

    def matching(self, pattern: str) -> int:
        """Exactly how many messages match a regular expression."""
        return self._count(f"message:/{pattern}/")

    def substring(self, text: str) -> int:
        """Exactly how many messages hold a text, inside words too."""
        return self._count(f'message:*"{text}"*')

    def percentiles(self, key: str) -> dict[str, float]:
        """The 95th percentile of `duration_ms` of a key's most frequent values."""
        rows = self._table(
            f"metadata.{key}:* metadata.duration_ms:>=0 | stats by (metadata.{key})"
            " count() as n p95(metadata.duration_ms) as p"
            f" | limit {PATTERNS}"
        )
        return {value: p for value, _, p in rows}

    def patterns(self) -> list[int]:
        """Counts of the most frequent patterns."""
        rows = self._table(f"* | patterns {PATTERNS}")
        return [row[-1] if isinstance(row[-1], int) else row[1] for row in rows]

    def around(self, hit: Row) -> list[Row]:
        """Its neighbours of the same source; its id stood in a page before."""
        params = {"id": self.ids[hit], "before": AROUND, "after": AROUND}
        return [_row(log) for log in self._ask("get_context", params)["logs"]]

    def _rows(self, **asked: Any) -> list[Row]:
        asked |= {"limit": LIMIT, "count": "none"}
        logs = self._ask("query", asked)["logs"]
        rows = list(map(_row, logs))
        self.ids.update(zip(rows, (log["id"] for log in logs), strict=True))
        return rows

    def _count(self, query: str) -> int:
        asked = {"q": query, "limit": 1, "count": "exact"}
        return int(self._ask("query", asked)["count"])

    def _table(self, query: str) -> list[list[Any]]:
        rows: list[list[Any]] = self._ask("aggregate", {"q": query})["table"]["rows"]
        return rows


def _row(log: Mapping[str, Any]) -> Row:
    return (
        parse_timestamp(log["timestamp"], 0),
        log["source"],
        _number(log["level"]),
        log["message"],
    )


def _number(level: str) -> int:
    number = parse_level(level)
    assert number is not None
    return number
