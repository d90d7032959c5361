"""Blocks written anew without the entries that match."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.entry import Entry
from pipeline.ingester.compaction.deleting import plan_deletion, rewrite
from pipeline.query.scan import Headers
from pipeline.store.reader import Reader
from tests.query.stores import append, merge


def test_a_damaged_column_keeps_only_its_block(tmp_path: Path) -> None:
    """A block with a column that can't be read is told of, the others are rewritten."""
    path = tmp_path / "logs.db"
    rows = [Entry(at, "api", 9, f"took {at} ms", {}, ["x"], "t") for at in range(9)]
    append(path, [[(0, rows)], [(0, rows)]])
    for place in range(2):
        merge(path, place, place + 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        place, data = database.execute("SELECT id, data FROM segments").fetchone()
        found = []
        for at in range(0, len(data), 3):
            broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            database.execute(
                "UPDATE segments SET data = ? WHERE id = ?", (broken, place)
            )
            headers, damaged = Headers(Reader(path)), set[int]()
            headers.refresh()
            plan = plan_deletion({"q": "message:*4*"}, 0, 2)
            made = rewrite(headers, plan, 1, lambda: 0.0, lambda: None, damaged)
            found.append((len(list(made)), len(damaged)))

    assert (1, 1) in found
    assert {blocks + lost for blocks, lost in found} == {2}
