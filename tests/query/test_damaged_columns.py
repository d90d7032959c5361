"""Columns of compacted blocks that can't be read: nothing of the block is answered."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.entry import Entry
from tests.query.stores import Asker, append, settle

_QUESTIONS = [
    ("query", {"q": "took"}),
    ("query", {"q": "level:INFO metadata.user.id:>=0", "order": "asc"}),
    ("query", {"q": "* | sort metadata.path | limit 3"}),
    ("search", {"query": "took", "context": 1}),
    ("get_stats", {"q": "took"}),
    ("histogram", {"q": "took", "by": "metadata.path"}),
    ("facets", {"q": "took"}),
    ("aggregate", {"q": "took | stats by (metadata.path) count()"}),
    ("get_trace", {"trace_id": "t-1"}),
    ("explain", {"q": "took"}),
]


def _entry(number: int) -> Entry:
    return Entry(
        1_000_000_000 * number,
        "api",
        9,
        f"request {number} took {number % 7} ms",
        {"path": f"/p/{number % 4}", "user": {"id": number}},
        ["blue"],
        f"t-{number % 3}",
    )


def test_any_damaged_byte_costs_a_block_and_no_question(tmp_path: Path) -> None:
    """Whatever column has it; the reply says that a block is missing, or is whole."""
    path = tmp_path / "logs.db"
    made = [[(number, list(map(_entry, range(50))))] for number in range(1)]
    stored = settle(path, append(path, made), "compacted")
    whole = [Asker(path).ask(method, **params) for method, params in _QUESTIONS]
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        ((place, data),) = database.execute("SELECT id, data FROM segments")
        lost = 0
        for at in range(0, len(data), 9):
            damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            database.execute("UPDATE segments SET data = ?", (damaged,))
            asker = Asker(path)
            for (method, params), right in zip(_QUESTIONS, whole, strict=True):
                reply = asker.ask(method, **params)
                if reply.get("unreadable_blocks") is None:
                    assert _told(reply) == _told(right), (method, place)
                else:
                    lost += 1
                    assert not reply.get("logs")
    assert len(stored) == 50
    assert lost > 0


def _told(reply: dict[str, object]) -> dict[str, object]:
    """The reply without what differs from time to time."""
    kept = ("logs", "count", "total", "total_logs", "series", "facets", "table")
    return {name: reply.get(name) for name in kept}
