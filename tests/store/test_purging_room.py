"""What deleting takes of a disk that has no room."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

from pipeline.entry import Entry
from pipeline.store.database import size_on_disk
from pipeline.store.writer import Writer
from tests.store.build import build_store


def test_where_room_is_short_purging_takes_little_of_it(tmp_path: Path) -> None:
    """No zeros are written over what goes; elsewhere as SQLite was built to."""
    path = tmp_path / "logs.db"
    noise = random.Random(1)
    texts = [noise.randbytes(2000).hex() for _ in range(400)]
    rows = [Entry(1, "web", 9, text, {}, [], None) for text in texts]
    build_store(path, [rows[:200], rows[200:]])
    with closing(Writer(path)) as writer:
        number = writer.drop(1, 2, now=9)
        gone = writer.stock().replaced_bytes
        writer.checkpoint(at_once=True)
        writer.purge(number, 100, is_short=True)
        wal = size_on_disk(path.with_name("logs.db-wal"))

    assert gone > 500_000
    assert wal < gone / 2
