"""Replies that follow one another: what the first one saw, each once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.entry import Entry
from pipeline.query.lookups import LEAST_TOKENS
from tests.query.stores import append, merge
from tests.tools.stores import NOW, ToolAsker, asking

MINUTE = 60 * 1_000_000_000


def entry(at: int, text: str) -> Entry:
    """An error of a source of its own, within one trace."""
    time = NOW - MINUTE - at * 1_000
    return Entry(time, f"service-{at}", 17, text, {}, [], "trace-1")


def word(number: int) -> str:
    """A word without digits, so that it makes a pattern of its own."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(abs(number)))


TOOLS: dict[str, tuple[dict[str, Any], Callable[[Any], list[str]]]] = {
    "search_logs": (
        {"query": "failed", "context": 1},
        lambda page: [line for line in page["matches"] if " · " not in line],
    ),
    "get_recent_errors": ({}, lambda page: [e["pattern"] for e in page["errors"]]),
    "list_patterns": ({}, lambda page: [e["pattern"] for e in page["patterns"]]),
    "get_log_stats": ({}, lambda page: list(page["by_source"])),
    "get_trace": ({"trace_id": "trace-1"}, lambda page: page["steps"]),
}


@pytest.fixture
def store(tmp_path: Path) -> ToolAsker:
    """Errors of 100 kinds."""
    rows = [entry(at, f"job {word(at)} failed") for at in range(100)]
    append(tmp_path / "logs.db", [[(0, rows[:50])], [(0, rows[50:])]])
    return asking(tmp_path / "logs.db")


def late(path: Path) -> None:
    """Entries older, newer and more frequent than those that are there."""
    rows = [entry(at, f"late {word(at)} failed") for at in (-50, 20, 500)] * 3
    append(path, [[(1, rows)]])
    merge(path, 0, 3)


@pytest.mark.parametrize("tool", TOOLS)
def test_what_comes_later_shifts_nothing(store, tmp_path, tool) -> None:
    """Each of the first reply's 100 is in one reply, and no other."""
    given, listed = TOOLS[tool]
    params = {"max_tokens": LEAST_TOKENS * 3, **given}
    page = store.ask(tool, NOW, **params)
    seen, count = listed(page), page["count"]
    late(tmp_path / "logs.db")
    while page["cursor"] is not None:
        params["cursor"] = page["cursor"]
        page = store.ask(tool, NOW + 5, **params)
        seen += listed(page)
        assert page["count"] == count

    assert len(seen) == len(set(seen)) == 100
    assert not any("late" in text for text in seen)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_cursor_is_of_one_question(store, tool) -> None:
    """Another tool's, and what is none, are refused with what to do."""
    params, _ = TOOLS[tool]
    other = "get_trace" if tool != "get_trace" else "search_logs"
    cursor = store.ask(other, NOW, max_tokens=LEAST_TOKENS, **TOOLS[other][0])["cursor"]

    for given, said in ((cursor, "another question"), ("w.1.2", "is no cursor")):
        error = store.refused(tool, cursor=given, max_tokens=LEAST_TOKENS, **params)
        assert error.field == "cursor"
        assert said in error.problem
        assert "leave cursor out" in error.hint or "or none" in error.hint


def test_a_cursor_goes_with_its_parameters(store) -> None:
    """Other words would go on in the middle of another list."""
    page = store.ask("search_logs", NOW, query="failed", max_tokens=LEAST_TOKENS)
    error = store.refused("search_logs", query="job", cursor=page["cursor"])

    assert error.problem == "this cursor is of another question"


def test_stored_queries_with_tables_are_refused(store) -> None:
    """A list of matches is no table."""
    error = store.refused("search_logs", query="failed | stats count()")

    assert error.field == "query"
