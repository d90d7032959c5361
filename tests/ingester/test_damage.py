"""An ingester whose database is damaged while it runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline import transport
from pipeline.store.schema import PAGE_BYTES
from tests.faults.processes import Ingester, started


def test_it_ends_and_the_next_one_salvages(tmp_path: Path) -> None:
    """It would try the same commit for ever; `pipeline up` starts it again."""
    ingester = Ingester(tmp_path)
    with started(ingester):
        assert ingester.stop() == 0
    with started(ingester):  # one that has not read the page yet
        _overwrite(ingester.database, "dead_letters")
        push = transport.push(ingester.ingest)
        push.send_multipart([b"a", b"message", b"of three frames"])
        assert ingester.running.wait(20) == 1
        push.close(0)
    assert "the next start salvages it" in ingester.text

    with started(ingester):
        assert ingester.stop() == 0

    assert "is damaged: database disk image is malformed" in ingester.text
    assert "nothing is lost" in ingester.text


def _overwrite(database: Path, table: str) -> None:
    """The root page of a table, in the file."""
    uri = f"file:{database}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)
        ).fetchone()
    with database.open("r+b") as file:
        file.seek((root - 1) * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)
