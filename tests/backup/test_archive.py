"""Archives: entries leave the store when, and only when, a checked file has them."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.backup import archive, bundle
from pipeline.backup.archive import Archive
from pipeline.batch.pack import pack
from pipeline.control import Client, ControlError, endpoint_of
from pipeline.errors import StoreError
from pipeline.store.listed import Listed
from pipeline.store.reader import Reader
from pipeline.store.verify import verify_store
from tests.ingester.process import Process, Sender

ENTRIES = 6
FUTURE = 1 << 62


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[Process]:
    """With some entries in commits of their own."""
    made = Process(tmp_path)
    made.environment["PIPELINE_COMPACTION__KEEP_REPLACED_SECONDS"] = "0.05"
    made.environment["PIPELINE_INGEST__COMMIT_INTERVAL_MS"] = "1"
    made.start()
    client = Client(endpoint_of("", str(made.database)))
    sender = Sender(made)
    for number in range(ENTRIES):
        sender.send(pack({"message": f"entry {number}", "source": "web"}))
        eventually(lambda n=number: client.status()["counters"].get("entries", 0) > n)
    sender.close()
    eventually(lambda: len(made.entries("web")) == ENTRIES)
    yield made
    made.stop()


def eventually(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < end, "not within 20 s"
        time.sleep(0.02)
    return found


def archive_of(ingester: Process) -> Archive:
    endpoint = endpoint_of("", str(ingester.database))
    folder = ingester.database.parent / "archive"
    return Archive(ingester.database, folder, endpoint, "ann")


def web(path: Path) -> list[str]:
    """Messages of the source, which are not those of the pipeline itself."""
    found: list[str] = []
    with closing(Reader(path)) as reader:
        reader.refresh()
        for block in map(reader.load, reader.headers):
            entries = block.batch.entries(np.arange(block.rows))
            found += [each.message for each in entries if each.source == "web"]
    return found


def test_entries_move_into_files_that_stand_for_themselves(ingester: Process) -> None:
    """The file is a store with a checksum; the chain and the audit say what went."""
    made = list(archive_of(ingester).run(FUTURE))

    assert sum(each.rows for each in made) >= ENTRIES
    assert [m for each in made for m in web(each.path)] == [
        f"entry {number}" for number in range(ENTRIES)
    ]
    assert web(ingester.database) == []
    assert "archived_to" in str(ingester.entries("audit"))
    for each in made:
        assert verify_store(each.path).is_sound
        words = ["sha256sum", "--check", "--quiet", f"{each.path.name}.sha256"]
        subprocess.run(words, cwd=each.path.parent, check=True, timeout=20)
    live = verify_store(ingester.database)
    assert (live.damaged, live.flaws) == ({}, [])


def test_entries_stay_until_a_checked_file_has_them(
    ingester: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer ones, on a disk that lies, and after a kill in between; the next run then
    drops what a whole file has already."""
    assert list(archive_of(ingester).run(1)) == []
    written = archive.insert_block
    with monkeypatch.context() as patched:
        patched.setattr(
            archive,
            "insert_block",
            lambda connection, rows: written(
                connection, rows._replace(header=(*rows.header[:-1], b"other"))
            ),
        )
        with pytest.raises(StoreError, match="does not have what was written"):
            list(archive_of(ingester).run(FUTURE))
    assert len(web(ingester.database)) == ENTRIES
    for left in (ingester.database.parent / "archive").iterdir():
        left.unlink()

    def refuse(*_: Any) -> None:
        raise ControlError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(Client, "drop", refuse)
        with pytest.raises(StoreError, match="in the store still"):
            list(archive_of(ingester).run(FUTURE))
    assert len(web(ingester.database)) == ENTRIES

    made = list(archive_of(ingester).run(FUTURE))

    assert sum(len(web(each.path)) for each in made) == ENTRIES
    assert web(ingester.database) == []


def test_what_is_older_than_damage_is_archived(ingester: Process) -> None:
    """The damaged block stays, with what is newer."""
    with closing(sqlite3.connect(ingester.database)) as connection, connection:
        connection.execute("UPDATE blocks SET data_crc = data_crc + 1 WHERE id = 4")
    made = []
    with pytest.raises(StoreError, match="block 4 is damaged"):
        made += archive_of(ingester).run(FUTURE)
    (path,) = (ingester.database.parent / "archive").glob("*.db")

    assert web(path) == [f"entry {number}" for number in range(3)]


def test_two_into_one_folder_are_refused(ingester: Process) -> None:
    """The second would remove what the first is just writing."""
    folder = ingester.database.parent / "archive"
    folder.mkdir()
    with (
        bundle.locked(folder, "archive"),
        pytest.raises(StoreError, match="another archive into"),
    ):
        list(archive_of(ingester).run(FUTURE))
    assert len(web(ingester.database)) == ENTRIES


def test_files_are_of_the_size_that_is_asked_for() -> None:
    """Or of one block, which is larger."""
    blocks = [
        Listed(number, number, number, 1, size, 0, 0)
        for number, size in enumerate((40, 60, 1, 500, 30))
    ]
    made = archive.batches(blocks, 100)

    assert [[block.size for block in each] for each in made] == [
        *([40, 60], [1], [500], [30]),
    ]


def test_without_an_ingester_nothing_is_begun(tmp_path: Path) -> None:
    """Only it deletes."""
    with pytest.raises(StoreError, match="no ingester"):
        list(Archive(tmp_path / "logs.db", tmp_path, "ipc://none", "ann").run(1))
