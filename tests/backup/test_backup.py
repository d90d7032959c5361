"""Backups: of one moment, each block once, whole or not there, restored as it was."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.backup import manifest
from pipeline.backup.backup import Backup, Made, Progress
from pipeline.backup.prune import doomed, prune
from pipeline.backup.restore import restore
from pipeline.backup.verify import verify_backups
from pipeline.errors import StoreError
from pipeline.store.block import Part, seal_block
from pipeline.store.compacted import compact
from pipeline.store.reader import Reader
from pipeline.store.verify import verify_store
from pipeline.store.writer import Writer
from pipeline.wire.codec import batch_of
from tests.store.build import PRODUCER, build_store, writer_stream
from tests.wire.messages import NOW, entry

BLOCKS = 10
ROWS = 100
SECOND = 1_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Four blocks are one, six are as they were committed."""
    path = tmp_path / "logs.db"
    build_store(path, [rows(number) for number in range(BLOCKS)])
    merge(path, 4)
    return path


def rows(number: int) -> list[object]:
    rng = random.Random(number)
    return [
        entry(timestamp=NOW + n, message=f"user {n} {rng.randbytes(50).hex()}")
        for n in range(ROWS)
    ]


def merge(path: Path, count: int) -> None:
    with closing(Writer(path)) as writer, closing(Reader(path)) as reader:
        reader.refresh()
        blocks = list(map(reader.load, reader.headers[:count]))
        writer.purge(writer.swap(compact(blocks, 3)), 100)


def grow(path: Path) -> None:
    with closing(Writer(path)) as writer:
        stream = writer_stream(writer, PRODUCER)
        batch = batch_of(rows(writer.last_block)).batch
        assert batch is not None
        part = Part(batch, PRODUCER, stream.accepted + 1, None)
        stream.accepted += ROWS
        stream.stored += ROWS
        writer.commit([seal_block([part])], [stream], [], [], now=1)


def back_up(path: Path, now: int = 1) -> Made:
    folder = path.parent / "backups"
    return Backup(path, folder, f"ipc://{path}.control").make(now * SECOND)


def messages(path: Path) -> list[str]:
    found: list[str] = []
    with closing(Reader(path)) as reader:
        reader.refresh()
        for block in map(reader.load, reader.headers):
            entries = block.batch.entries(np.arange(block.rows))
            found += [each.message for each in entries]
    return found


def test_what_is_restored_is_what_there_was(path: Path, tmp_path: Path) -> None:
    """Entries, marks and chain; an ingester goes on with it."""
    before, expected = messages(path), verify_store(path)
    made = back_up(path)
    grow(path)

    database = tmp_path / "elsewhere" / "new.db"
    restore(tmp_path / "backups", database, None)

    found = verify_store(database)
    assert messages(database) == before
    assert (found.is_sound, found.rows) == (True, BLOCKS * ROWS)
    assert found.head == expected.head == made.manifest.head
    assert made.manifest.commit == BLOCKS
    said: list[str] = []
    with closing(Writer(database, "disk", said.append)) as writer:
        (stream,) = writer.streams()
        assert (said, writer.last_block, stream.stored) == ([], 10, 1000)
    grow(database)
    assert verify_store(database).is_sound


def test_a_block_is_copied_once(path: Path, tmp_path: Path) -> None:
    """What compaction has made since is new; what it replaced is still the older's."""
    assert back_up(path, 1).copied_blocks == 7
    grow(path)
    assert back_up(path, 2).copied_blocks == 1
    before = messages(path)
    merge(path, 5)
    assert back_up(path, 3).copied_blocks == 1
    assert back_up(path, 4).copied_blocks == 0

    assert all(each.is_sound for each in verify_backups(tmp_path / "backups").values())
    for number, name in enumerate(manifest.names(tmp_path / "backups")):
        restore(tmp_path / "backups", tmp_path / f"{number}.db", name)
        assert (
            messages(tmp_path / f"{number}.db") == before[: (10 + (number > 0)) * 100]
        )


def test_nothing_is_overwritten(path: Path, tmp_path: Path) -> None:
    """Neither a database nor what a crash left of one."""
    back_up(path)
    for there in ("new.db", "new.db-wal"):
        (tmp_path / there).write_text("precious")
        with pytest.raises(StoreError, match="exists"):
            restore(tmp_path / "backups", tmp_path / "new.db", None)
        assert (tmp_path / there).read_text() == "precious"
        (tmp_path / there).unlink()
    assert not list(tmp_path.glob("new.db*"))


def test_nobody_begins_a_store_where_one_is_restored(
    path: Path, tmp_path: Path
) -> None:
    """Neither an ingester, whose entries would be overwritten, nor a second restore."""
    back_up(path)
    refused = []

    def begin(_: Progress) -> None:
        with pytest.raises(StoreError, match="in use") as error:
            Writer(tmp_path / "new.db")
        refused.append(error)
        with pytest.raises(StoreError, match="in use"):
            restore(tmp_path / "backups", tmp_path / "new.db", None)

    restore(tmp_path / "backups", tmp_path / "new.db", None, begin)
    assert refused
    assert verify_store(tmp_path / "new.db").is_sound


def test_old_ones_go_with_the_blocks_that_only_they_had(
    path: Path, tmp_path: Path
) -> None:
    """By number; what others need stays."""
    folder = tmp_path / "backups"
    back_up(path, 1)
    merge(path, 7)
    back_up(path, 2)
    before = len(list((folder / "blocks").iterdir()))

    assert len(prune(folder, 1, None, 3 * SECOND)) == 1

    assert (before, len(list((folder / "blocks").iterdir()))) == (3, 1)
    assert [each.is_sound for each in verify_backups(folder).values()] == [True]


def test_the_rules_of_pruning() -> None:
    """By number, by age, or both; the newest stays whatever they say."""
    names = [manifest.name_of(day * 86_400 * SECOND, day) for day in range(1, 6)]
    now, day = 6 * 86_400 * SECOND, 86_400 * SECOND
    assert doomed(names, 2, None, now) == names[:3]
    assert doomed(names, None, 3 * day, now) == names[:2]
    assert doomed(names, 4, 0, now) == names[:4]
    assert doomed(names, None, None, now) == []
    assert doomed([], 1, 0, now) == []


def test_what_was_just_made_stays(path: Path, tmp_path: Path) -> None:
    """Though its name is the older one, since the clock was set back meanwhile."""
    folder = tmp_path / "backups"
    future = back_up(path, 400 * 86_400).manifest.name
    grow(path)
    late = Backup(path, folder, f"ipc://{path}.control", keep=1)
    made = late.make(86_400 * SECOND)
    assert made.removed == []
    assert manifest.names(folder) == [made.manifest.name, future]


def test_what_others_put_into_the_folder_stays(path: Path, tmp_path: Path) -> None:
    """Only what has the names of a backup's files is one, or is removed."""
    folder = tmp_path / "backups"
    others = [
        *("1site/manifest.json", "site/manifest.json", "job/state.db"),
        *("app.state.json", "blocks/readme", "blocks/my.db", "blocks/my.building.txt"),
    ]
    for name in others:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")
    (folder / "empty").mkdir()
    back_up(path, 1)
    grow(path)
    late = Backup(path, folder, f"ipc://{path}.control", keep=1)
    made = late.make(2 * SECOND)

    assert len(made.removed) == 1
    assert manifest.names(folder) == [made.manifest.name]
    assert all((folder / name).read_text() == "precious" for name in others)
    assert (folder / "empty").is_dir()


def test_old_ones_go_before_the_next_may_begin(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one's bundles are in no manifest yet, and would go with the old."""
    refused = []

    def slow(*arguments: object) -> list[str]:
        with pytest.raises(StoreError, match="another backup"):
            back_up(path, 5)
        refused.append(arguments)
        return []

    monkeypatch.setattr("pipeline.backup.backup.prune", slow)
    back_up(path, 1)
    assert refused


def test_a_hash_that_was_kept_must_be_in_the_newest_backup(
    path: Path, tmp_path: Path
) -> None:
    """Else it is of another history, however whole."""
    folder = tmp_path / "backups"
    head = back_up(path, 1).manifest.head
    grow(path)
    back_up(path, 2)

    def verify(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "pipeline", "verify", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    assert verify(str(folder), "--head", head.upper()) == (0, "")
    code, said = verify(str(folder), "--head", "0" * 64)
    assert (code, said.count("does not have the hash")) == (1, 1)
    code, said = verify(str(folder), "--head", head[:8])
    assert (code, "must be 64 hex digits" in said) == (2, True)
    code, said = verify(str(path), "--at", "2026")
    assert (code, "no folder of backups" in said) == (1, True)


@pytest.mark.parametrize("victim", ["state", "bundle", "manifest"])
def test_a_flipped_byte_of_a_backup_is_found(
    path: Path, tmp_path: Path, victim: str
) -> None:
    """And is not restored."""
    folder = tmp_path / "backups"
    name = back_up(path).manifest.name
    files = {
        "state": folder / name / "state.db",
        "manifest": folder / name / "manifest.json",
        "bundle": max((folder / "blocks").iterdir(), key=_fresh_blocks),
    }
    content = bytearray(files[victim].read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        ((data,),) = connection.execute("SELECT data FROM blocks WHERE id = 7")
    at = content.find(data[-500:]) if victim == "bundle" else len(content) // 4
    content[at] ^= 1
    files[victim].write_bytes(content)

    (found,) = verify_backups(folder).values()

    assert not found.is_sound
    if victim == "bundle":
        assert list(found.damaged) == [7]
    with pytest.raises(StoreError):
        restore(folder, tmp_path / "new.db", None)
    assert {path.name for path in tmp_path.glob("new.db*")} <= {"new.db.lock"}


def _fresh_blocks(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM blocks")
    return int(count)


KILLED = """
import os, sys
from pathlib import Path
from pipeline.backup import bundle, manifest
from pipeline.backup.backup import Backup
from pipeline.backup import backup
backup.BUNDLE_BYTES = 1
left = int(sys.argv[2])
def count(module, name):
    real = getattr(module, name)
    def counted(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return real(*args, **kwargs)
    setattr(module, name, counted)
for module, name in ((bundle, "finish_fresh"), (bundle, "digest_of"), (bundle, "sync"),
                     (backup, "take_snapshot"), (manifest, "sync"), (os, "fsync")):
    count(module, name)
path = Path(sys.argv[1])
Backup(path, path.parent / "backups", f"ipc://{path}.control").make(1_000_000_000)
"""


def test_a_backup_killed_anywhere_goes_on(path: Path, tmp_path: Path) -> None:
    """What was copied is not copied again, and what is not complete is none."""
    folder = tmp_path / "backups"
    copied = []
    for steps in (0, 9, 30):
        shutil.rmtree(folder, ignore_errors=True)
        words = [sys.executable, "-c", KILLED, str(path), str(steps)]
        ended = subprocess.run(words, check=False, timeout=60)
        assert ended.returncode in (0, 9)
        complete = manifest.names(folder) if folder.exists() else []
        assert bool(complete) is (ended.returncode == 0)
        made = back_up(path, 2)
        copied.append(made.copied_blocks)
        assert verify_backups(folder)[made.manifest.name].is_sound
        left = {each.name for each in folder.iterdir()}
        assert left == {"blocks", "lock", made.manifest.name, *complete}
    assert copied[0] == 7
    assert 0 < copied[1] < 7
    assert copied == sorted(copied, reverse=True)


def test_two_at_once_are_refused(path: Path, tmp_path: Path) -> None:
    """A second one would remove what the first has just written."""
    refused = []

    def again(_: Progress) -> None:
        with pytest.raises(StoreError, match="another backup") as error:
            back_up(path, 5)
        refused.append(error)

    folder = tmp_path / "backups"
    Backup(path, folder, f"ipc://{path}.control", again).make(SECOND)
    assert refused
    assert len(manifest.names(folder)) == 1


def test_a_damaged_block_is_copied_and_told(path: Path, tmp_path: Path) -> None:
    """It can't be made better, and nobody may think that it was whole."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE blocks SET data = zeroblob(9) WHERE id = 7")
        connection.commit()

    made = back_up(path)

    assert made.manifest.damaged == [7]
    (found,) = verify_backups(tmp_path / "backups").values()
    assert "block 7 was damaged in the store" in found.notes[0]
    restore(tmp_path / "backups", tmp_path / "new.db", None)
    assert list(verify_store(tmp_path / "new.db").damaged) == [7]
