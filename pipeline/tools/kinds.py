"""Kinds of messages in a reply: a map for each, the most frequent first."""

from __future__ import annotations

from typing import Any, Final

from pipeline.query.overviews import PATTERN_ROWS
from pipeline.tools.budget import Detail
from pipeline.tools.rows import line
from pipeline.tools.text import clean

Pattern = dict[str, Any]

_SOURCES: Final = 5


def group(pattern: Pattern, detail: Detail) -> dict[str, Any]:
    """How many, since when, where, and one example."""
    characters = min(detail.characters, 400)
    found: dict[str, Any] = {
        "count": pattern["count"],
        "pattern": clean(pattern["pattern"], characters),
        "sources": _names(pattern, min(characters, 60)),
        "first": pattern["first_seen"][:19] + "Z",
        "last": pattern["last_seen"][:19] + "Z",
    }
    if detail.samples and (log := pattern.get("example")) is not None:
        found["example"] = line(log, {"date": ""}, detail.characters)
    elif log := pattern.get("example"):
        found["id"] = log["id"]
    return found


def _names(pattern: Pattern, characters: int) -> str:
    """Its sources with their counts, in one text."""
    named = list(pattern["sources"].items())[:_SOURCES]
    if pattern["sources_total"] == 1:
        return clean(named[0][0], characters)
    more = pattern["sources_total"] - len(named)
    text = ", ".join(f"{clean(name, characters)} {count}" for name, count in named)
    return f"{text} and {more} more" if more > 0 else text


def unlisted(found: dict[str, Any], what: str, query: str) -> list[str]:
    """That some entries are in no kind of the list, and how to see them."""
    if found["truncated"]:
        if len(found["patterns"]) < PATTERN_ROWS:
            return []
        return [f"more kinds than {PATTERN_ROWS:,}: ask for some sources or less time"]
    left = found["total"] - sum(pattern["count"] for pattern in found["patterns"])
    if not left:
        return []
    return [
        f"{left} {what} are too long to have a pattern: search_logs {query} shows them"
    ]
