"""A backup beside an ingester that compacts and deletes what it copies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.backup import backup
from pipeline.backup.backup import Backup, Progress
from pipeline.backup.restore import restore
from pipeline.batch.pack import pack
from pipeline.control import Client, endpoint_of
from pipeline.store.database import open_reader
from pipeline.store.listed import live_blocks
from pipeline.store.rows_of_block import rows_of_block
from pipeline.store.verify import verify_store
from tests.ingester.process import Process, Sender, still

ENTRIES = 12


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[Process]:
    """One that deletes at once what was replaced."""
    made = Process(tmp_path)
    made.environment["PIPELINE_COMPACTION__KEEP_REPLACED_SECONDS"] = "0.05"
    made.environment["PIPELINE_INGEST__COMMIT_INTERVAL_MS"] = "1"
    made.start()
    yield made
    made.stop()


def eventually(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end, "not within 20 s"
        time.sleep(0.02)
    return found


def _has_all(database: Path, seen: list[Any]) -> bool:
    with closing(open_reader(database)) as connection:
        there = [rows_of_block(connection, rows.header[0]) for rows in seen]
    return None not in there


def test_what_is_replaced_meanwhile_stays_until_it_is_copied(
    ingester: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes when the backup has ended; its counts are those of its commit."""
    endpoint = endpoint_of("", str(ingester.database))
    client = Client(endpoint)
    sender = Sender(ingester)
    idle = ExitStack()
    idle.enter_context(still(client))  # or all could be one block already
    for number in range(ENTRIES):
        sender.send(pack({"message": f"entry {number}", "source": "web"}))
        eventually(lambda n=number: client.status()["counters"].get("entries", 0) > n)
    sender.close()
    eventually(lambda: len(ingester.entries("web")) == ENTRIES)
    monkeypatch.setattr(backup, "BUNDLE_BYTES", 1)
    seen: list[Any] = []
    pins: list[int] = []

    def compact(_: Progress) -> None:
        if not seen:
            with closing(open_reader(ingester.database)) as connection:
                before = live_blocks(connection)
                idle.close()
                client.compact()
                time.sleep(0.5)  # ten times as long as replaced blocks are kept
                assert live_blocks(connection) != before
                seen.extend(rows_of_block(connection, each.id) for each in before)
            pins.append(client.status()["compaction"]["pins"])

    folder = tmp_path / "backups"
    made = Backup(ingester.database, folder, endpoint, compact).make(1)

    assert made.is_pinned
    assert pins == [1]
    assert None not in seen
    assert len(seen) >= made.copied_blocks > 1
    eventually(lambda: not _has_all(ingester.database, seen))
    restore(folder, tmp_path / "new.db", None)
    found = verify_store(tmp_path / "new.db")
    assert (found.is_sound, found.rows) == (True, made.manifest.rows)
    assert found.commit == made.manifest.commit
    live = verify_store(ingester.database)
    assert (live.damaged, live.flaws) == ({}, [])
