"""What can't be read is said: no errors and no answer are two things."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from pipeline.entry import Entry
from pipeline.tools.definitions import DEFINITIONS
from tests.query.stores import append, settle
from tests.tools.stores import HOUR, NOW, asking

NAMES = [tool["name"] for tool in DEFINITIONS]
GIVEN = {
    "search_logs": {"query": "failed"},
    "debug_session": {"since": "1h"},
    "get_trace": {"trace_id": "t-1", "max_tokens": 6_000},
}


@pytest.fixture
def store(tmp_path):
    """Two blocks of errors, of which one is damaged."""
    path = tmp_path / "logs.db"
    made = []
    for block in range(2):
        rows = [
            Entry(
                NOW - HOUR // 2 + at,
                "http_traffic",
                17,
                f"job {at} failed",
                {},
                [],
                "t-1",
            )
            for at in range(block * 50, block * 50 + 50)
        ]
        made.append([(0, rows)])
    settle(path, append(path, made), "half compacted")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("UPDATE segments SET data = zeroblob(length(data))")
    return asking(path)


@pytest.mark.parametrize(
    "tool", sorted(set(NAMES) - {"get_entry", "get_context", "describe_logs"})
)
def test_a_damaged_block_is_told(store, tool):
    """With what there is besides."""
    reply = store.ask(tool, NOW, **GIVEN.get(tool, {}))

    if tool == "get_log_stats":  # which no more than headers tell
        assert reply["total_logs"] == 100
    else:
        assert reply["unreadable"].startswith("1 blocks of the store are damaged")
