"""Moves the oldest blocks out of the store into files that stand for themselves.

An archive is a small store: every command reads it by `--db FILE`.  Its entries leave
the store only when the file is on disk and was read back; after a kill in between, the
next run drops what is archived already instead of writing it twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.backup import bundle
from pipeline.backup.backup import Progress, check_room
from pipeline.backup.pin import GoneError, Pin
from pipeline.backup.restore import settle
from pipeline.control import Client, ControlError
from pipeline.errors import StoreError
from pipeline.store.block_check import check_block, templates_of
from pipeline.store.database import (
    Connection,
    DatabaseError,
    finish_fresh,
    is_written,
    open_fresh,
    open_reader,
    sync,
)
from pipeline.store.listed import Listed, live_blocks
from pipeline.store.rows_of_block import BlockRows, insert_block, rows_of_block
from pipeline.store.template_table import signed

ARCHIVE_BYTES: Final = 64 << 20
"""Of blocks in a file, unless somebody wants larger ones."""

BLOCKS_MAX: Final = 100_000
"""Of a file: the ingester is told all their numbers in one message."""

KEY: Final = "archive"
"""Key of `meta`: what the file is, as JSON."""

_DIGITS: Final = 16


class Archived(NamedTuple):
    """A file, and what is in it."""

    path: Path
    blocks: list[Listed]

    @property
    def rows(self) -> int:
        """Entries."""
        return sum(block.rows for block in self.blocks)


@dataclass(slots=True)
class Archive:
    """One run into a folder; `tell` hears how far it is."""

    database: Path
    folder: Path
    endpoint: str
    """The ingester's control socket."""

    by: str
    """Who does it, for the audit entry."""

    tell: Callable[[Progress], None] = lambda _: None
    file_bytes: int = ARCHIVE_BYTES
    """Of blocks in a file."""

    def run(self, before: int) -> Iterator[Archived]:
        """Archive what was committed before a moment (ns), one file after another."""
        if not is_written(self.database):
            raise StoreError(
                f"{self.database} has no ingester, which alone deletes; start it"
            )
        try:
            self.folder.mkdir(0o700, parents=True, exist_ok=True)
            with bundle.locked(self.folder, KEY):
                bundle.clear_incomplete(self.folder)
                with self._pin() as pin, closing(open_reader(self.database)) as store:
                    yield from self._run(before, pin, store)
        except (OSError, DatabaseError) as error:
            raise StoreError(f"{self.folder} can't be written: {error}") from None

    def _pin(self) -> Pin:
        return Pin(self.endpoint, KEY, lambda: is_written(self.database))

    def _run(self, before: int, pin: Pin, store: Connection) -> Iterator[Archived]:
        there = {block.key: block for block in live_blocks(store)}
        for path in sorted(self.folder.glob(f"*{bundle.ENDING}")):
            with suppress(StoreError, DatabaseError):
                blocks = read_archive(path)
                if all(block.key in there for block in blocks):
                    yield self._drop(Archived(path, blocks))
        old = oldest(live_blocks(store), before)
        total, done, count = sum(block.size for block in old), 0, 0
        check_room(self.folder, total)
        for chosen in batches(old, self.file_bytes):
            pin.check()
            sound, flaw = _sound(store, chosen)
            if sound:
                yield self._drop(self._write(store, sound))
            if flaw:
                raise StoreError(flaw)
            done += sum(block.size for block in chosen)
            count += len(chosen)
            self.tell(Progress(count, len(old), done, total))

    def _write(self, store: Connection, blocks: Sequence[Listed]) -> Archived:
        path = _write_file(self.folder, self.database, blocks, store)
        _read_back(path, blocks, store)
        return Archived(path, list(blocks))

    def _drop(self, archived: Archived) -> Archived:
        blocks = archived.blocks
        commits = blocks[0].first, blocks[-1].last
        where = {"archived_to": str(archived.path.absolute())}
        try:
            Client(self.endpoint).drop(
                [block.id for block in blocks], commits, self.by, where
            )
        except ControlError as error:
            raise StoreError(
                f"{archived.path} is complete, but its entries are in the store still:"
                f" {error.problem}"
            ) from None
        return archived


def oldest(blocks: Sequence[Listed], before: int) -> list[Listed]:
    """The blocks up to the first that has a commit of that moment or later."""
    found: list[Listed] = []
    for block in blocks:
        if block.committed >= before:
            break
        found.append(block)
    return found


def batches(blocks: Sequence[Listed], most: int) -> Iterator[list[Listed]]:
    """Blocks of one file each, of so many bytes at most, or one block."""
    batch: list[Listed] = []
    size = 0
    for block in blocks:
        if batch and (size + block.size > most or len(batch) >= BLOCKS_MAX):
            yield batch
            batch, size = [], 0
        batch.append(block)
        size += block.size
    if batch:
        yield batch


def _sound(store: Connection, blocks: Sequence[Listed]) -> tuple[Sequence[Listed], str]:
    """The blocks up to the first that is damaged, and what is wrong with that."""
    for number, block in enumerate(blocks):
        if flaws := check_block(_rows_of(store, block), None):
            text = (
                f"block {block.id} is damaged: {flaws[0]}; it and what is newer stays"
                " in the store"
            )
            return blocks[:number], text
    return blocks, ""


def _rows_of(store: Connection, block: Listed) -> BlockRows:
    """Read when they are needed: a file may be larger than memory."""
    rows = rows_of_block(store, block.id)
    if rows is None:
        raise GoneError(f"block {block.id} went meanwhile; begin again")
    return rows


def read_archive(path: Path) -> list[Listed]:
    """The blocks of a whole archive; raises StoreError when it is none."""
    digest = bundle.digest_of(path)
    if not path.stem.endswith(digest[:_DIGITS]):
        raise StoreError(f"{path} was changed: its SHA-256 is not that of its name")
    with closing(open_reader(path)) as connection:
        return live_blocks(connection)


def _write_file(
    folder: Path,
    database: Path,
    blocks: Sequence[Listed],
    store: Connection,
) -> Path:
    building = folder / f"{os.getpid()}{bundle.BUILDING}"
    connection = open_fresh(building)
    try:
        connection.execute("BEGIN")
        for block in blocks:
            rows = _rows_of(store, block)
            insert_block(connection, rows)
            _copy_templates(store, connection, rows)
        connection.execute(
            "INSERT INTO meta VALUES (?, ?)",
            (KEY, json.dumps(_about(database, blocks))),
        )
        settle(connection)
        connection.execute("COMMIT")
        finish_fresh(connection, building)
    finally:
        connection.close()
    digest = bundle.digest_of(building)
    span = f"{_stamp(blocks[0].committed)}-{_stamp(blocks[-1].committed)}"
    path = folder / f"{span}-{digest[:_DIGITS]}{bundle.ENDING}"
    checksum = path.with_name(f"{path.name}.sha256")
    with checksum.open("w", encoding="utf-8") as file:
        file.write(f"{digest}  {path.name}\n")  # as sha256sum has it
        file.flush()
        os.fsync(file.fileno())
    building.rename(path)
    sync(folder)
    return path


def _about(database: Path, blocks: Sequence[Listed]) -> dict[str, Any]:
    return {
        "database": str(database.absolute()),
        "first": blocks[0].first,
        "last": blocks[-1].last,
        "entries": sum(block.rows for block in blocks),
    }


def _stamp(time: int) -> str:
    moment = datetime.fromtimestamp(time // 1_000_000_000, UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}"


def _copy_templates(store: Connection, target: Connection, rows: BlockRows) -> None:
    for key in templates_of(rows):
        found = store.execute("SELECT * FROM patterns WHERE id = ?", (signed(key),))
        target.executemany(
            "INSERT OR IGNORE INTO patterns VALUES (?, ?, ?, ?, ?)", found.fetchall()
        )


def _read_back(path: Path, blocks: Sequence[Listed], store: Connection) -> None:
    """Raise StoreError unless the file has just these blocks, byte by byte."""
    there = read_archive(path)
    with closing(open_reader(path)) as connection:
        if [block.key for block in there] != [block.key for block in blocks]:
            raise StoreError(f"{path} does not have the blocks that were written")
        for block in blocks:
            if rows_of_block(connection, block.id) != _rows_of(store, block):
                raise StoreError(f"{path} does not have what was written")
