"""Makes a store of a backup: only where none is, and whole before it gets there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from pipeline.backup import bundle, manifest
from pipeline.backup.backup import STATE_TABLES, Progress, check_room
from pipeline.backup.manifest import BLOCKS, STATE, Manifest
from pipeline.errors import StoreError
from pipeline.store.check import inspect
from pipeline.store.database import (
    Connection,
    DatabaseError,
    Lock,
    finish_fresh,
    open_fresh,
    open_reader,
    sync,
)
from pipeline.store.images import Images
from pipeline.store.listed import live_blocks
from pipeline.store.rows_of_block import copy_table, insert_block, rows_of_block
from pipeline.store.schema import (
    COMPACTED,
    LAST,
    LAST_COMPACTED,
    REMOVED,
    REMOVED_COMPACTED,
)

_BUILDING: Final = ".restoring"


def restore(
    folder: Path,
    database: Path,
    wanted: str | None,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Manifest:
    """Make the database of a backup, the newest by default. Raises StoreError."""
    _expect_none(database)
    made = manifest.read(folder / manifest.choose(folder, wanted))
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        check_room(database.parent, made.size)
        lock = Lock(database)  # no ingester begins one here meanwhile
        try:
            _expect_none(database)
            _make(folder, database, made, tell)
        finally:
            lock.release()
    except OSError as error:
        text = f"{database} can't be made: {error.strerror or error}"
        raise StoreError(text) from None
    except DatabaseError as error:
        raise StoreError(f"{folder} can't be restored: {error}") from None
    return made


def _expect_none(database: Path) -> None:
    for ending in ("", "-wal", ".damaged"):
        there = database.with_name(database.name + ending)
        if there.exists():
            raise StoreError(f"{there} exists: a backup is restored to where none is")


def _make(
    folder: Path, database: Path, made: Manifest, tell: Callable[[Progress], None]
) -> None:
    building = database.with_name(database.name + _BUILDING)
    try:
        for ending in ("", "-wal", "-shm", "-journal"):
            building.with_name(building.name + ending).unlink(missing_ok=True)
        _build(folder, building, made, tell)
        _check(building, made)
        building.rename(database)
        sync(database.parent)
    finally:
        building.unlink(missing_ok=True)


def _build(
    folder: Path, building: Path, made: Manifest, tell: Callable[[Progress], None]
) -> None:
    connection = open_fresh(building)
    try:
        connection.execute("BEGIN")
        state = folder / made.name / STATE
        _expect(state, made.state.sha256)
        with closing(open_reader(state)) as source:
            for table in STATE_TABLES:
                copy_table(source, connection, table)
        _copy_blocks(folder, connection, made, tell)
        settle(connection)
        connection.execute("COMMIT")
        finish_fresh(connection, building)
    finally:
        connection.close()


def _copy_blocks(
    folder: Path,
    connection: Connection,
    made: Manifest,
    tell: Callable[[Progress], None],
) -> None:
    """Each block once; the manifest's bundles may have others besides."""
    wanted = set(made.blocks)
    count = done = 0
    total = sum(file.size for file in made.files)
    for file in made.files:
        path = folder / BLOCKS / file.name
        _expect(path, file.sha256)
        with closing(open_reader(path)) as source:
            for block in live_blocks(source):
                if block.key not in wanted:
                    continue
                wanted.discard(block.key)
                rows = rows_of_block(source, block.id)
                assert rows is not None  # listed a moment ago, of a file of ours
                insert_block(connection, rows)
                count += 1
        done += file.size
        tell(Progress(count, len(made.blocks), done, total))
    if wanted:
        missing = ", ".join(str(key[0]) for key in sorted(wanted)[:5])
        raise StoreError(f"{folder}: {made.name} lacks {len(wanted)} blocks: {missing}")


def _expect(path: Path, digest: str) -> None:
    if not path.is_file():
        raise StoreError(f"{path} is not there")
    if bundle.digest_of(path) != digest:
        raise StoreError(
            f"{path} was changed: its SHA-256 is wrong; `pipeline verify` names the"
            " blocks, another backup may have them"
        )


def settle(connection: Connection) -> None:
    """Set the counters right for the blocks that are there; inside a transaction."""
    ((last,),) = connection.execute(
        "SELECT max(coalesce((SELECT max(id) FROM blocks), 0),"
        " coalesce((SELECT max(last) FROM compacted), 0),"
        " coalesce((SELECT max(block) FROM producers), 0),"
        " coalesce((SELECT value FROM meta WHERE key = ?), 0))",
        (LAST,),
    )
    ((newest,),) = connection.execute(
        "SELECT max(?, coalesce((SELECT max(id) FROM compacted), 0),"
        " coalesce((SELECT value FROM meta WHERE key = ?), 0))",
        (COMPACTED, LAST_COMPACTED),
    )
    ((fresh,),) = connection.execute("SELECT count(*) FROM blocks")
    ((joined,),) = connection.execute("SELECT count(*) FROM compacted")
    pairs = {
        LAST: last,
        REMOVED: last - fresh,
        LAST_COMPACTED: newest,
        REMOVED_COMPACTED: newest - COMPACTED - joined,
    }
    connection.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)", list(pairs.items())
    )


def _check(building: Path, made: Manifest) -> None:
    """Raise StoreError unless an ingester would open it as it is."""
    images = Images(building)
    try:
        flaws = inspect(images).flaws
    finally:
        images.close()
    if flaws and not made.damaged:
        raise StoreError(f"what was restored is damaged: {'; '.join(flaws[:3])}")
    with closing(open_reader(building)) as connection:
        rows = sum(block.rows for block in live_blocks(connection))
    if rows != made.rows:
        raise StoreError(f"{rows} entries were restored; there must be {made.rows}")
