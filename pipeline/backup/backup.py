"""Makes a backup: the state of one moment, then the blocks that are not there yet.

The state (all tables but those of blocks) and the list of blocks are read in one short
transaction.  Blocks never change, so they are copied one by one afterwards, while a pin
keeps the ingester from deleting those that others have taken the place of.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.backup import bundle, manifest
from pipeline.backup.bundle import BUNDLE_BYTES, File, Key
from pipeline.backup.manifest import BLOCKS, STATE, Manifest
from pipeline.backup.pin import GoneError, Pin
from pipeline.backup.prune import prune
from pipeline.errors import StoreError
from pipeline.store.block_check import check_block
from pipeline.store.database import (
    Connection,
    DatabaseError,
    finish_fresh,
    is_written,
    open_fresh,
    open_reader,
)
from pipeline.store.listed import Listed, live_blocks
from pipeline.store.rows_of_block import BlockRows, copy_table, rows_of_block
from pipeline.store.schema import COMPACTED, VERSION

STATE_TABLES: Final = ("producers", "dead_letters", "meta", "patterns", "chain")
TRIES: Final = 3
"""Beginnings: where room is short, an ingester lets go of pinned blocks."""

_FREE_SHARE: Final = 1.05


class Progress(NamedTuple):
    """How far it is; of blocks that have to be copied."""

    blocks: int
    of_blocks: int
    bytes: int
    of_bytes: int

    def __str__(self) -> str:
        done, total = self.bytes / 1e6, self.of_bytes / 1e6
        return (
            f"{self.blocks:,} of {self.of_blocks:,} blocks, {done:,.0f} of"
            f" {total:,.0f} MB"
        )


class Made(NamedTuple):
    """A backup, and what it took."""

    manifest: Manifest
    copied_blocks: int
    copied_bytes: int
    is_pinned: bool
    removed: Sequence[str] = ()
    """Old backups that went."""


class Snapshot(NamedTuple):
    """What there was at one moment, but for the blocks' rows."""

    live: list[Listed]
    commit: int
    event: int
    head: str


@dataclass(slots=True)
class Backup:
    """One run into a folder; `tell` hears how far it is."""

    database: Path
    folder: Path
    endpoint: str
    """The ingester's control socket."""

    tell: Callable[[Progress], None] = lambda _: None
    keep: int | None = None
    """Afterwards all but the newest so many go."""

    max_age: int | None = None
    """In ns: afterwards older ones go."""

    _damaged: list[int] = field(default_factory=list)

    def make(self, now: int) -> Made:
        """Make it; `now` in ns. Raises StoreError."""
        if not self.database.is_file():
            raise StoreError(f"{self.database} does not exist")
        try:
            self.folder.mkdir(0o700, parents=True, exist_ok=True)
            (self.folder / BLOCKS).mkdir(exist_ok=True)
            with bundle.locked(self.folder, "backup"):
                made = self._try(now)
                # not later: the next backup's bundles are in no manifest yet
                name = made.manifest.name
                gone = prune(self.folder, self.keep, self.max_age, now, name)
                return made._replace(removed=gone)
        except OSError as error:
            text = f"{self.folder} can't be written: {error.strerror or error}"
            raise StoreError(text) from None
        except DatabaseError as error:
            raise StoreError(f"{self.database} can't be read: {error}") from None

    def _try(self, now: int) -> Made:
        manifest.clear_incomplete(self.folder)
        there = known_files(self.folder)
        for left in reversed(range(TRIES)):
            with suppress_gone(again=left > 0), self._pin() as pin:
                return self._copy(now, there, pin)
        raise AssertionError

    def _pin(self) -> Pin:
        return Pin(self.endpoint, "backup", lambda: is_written(self.database))

    def _copy(self, now: int, there: dict[str, File], pin: Pin) -> Made:
        with closing(open_reader(self.database)) as connection:
            state = self.folder / f"{os.getpid()}.state"
            snapshot = take_snapshot(connection, state)
            try:
                newest = max([COMPACTED, *(block.id for block in snapshot.live)])
                pin.expect(newest)
                return self._finish(now, connection, snapshot, state, there, pin)
            finally:
                state.unlink(missing_ok=True)

    def _finish(
        self,
        now: int,
        connection: Connection,
        snapshot: Snapshot,
        state: Path,
        there: dict[str, File],
        pin: Pin,
    ) -> Made:
        self._damaged = []
        have = {key for file in there.values() for key in file.blocks}
        absent = [block for block in snapshot.live if block.key not in have]
        copied = 0
        for file in self._copied(connection, absent, pin):
            there[file.name] = file
            copied += file.size
        name = manifest.name_of(now, snapshot.commit)
        target = self.folder / name
        target.mkdir(exist_ok=True)
        state.rename(target / STATE)
        wanted = {block.key for block in snapshot.live}
        made = Manifest(
            name=name,
            database=str(self.database.absolute()),
            time=now,
            commit=snapshot.commit,
            rows=sum(block.rows for block in snapshot.live),
            blocks=sorted(wanted),
            event=snapshot.event,
            head=snapshot.head,
            damaged=sorted(self._damaged),
            state=File(
                STATE,
                (target / STATE).stat().st_size,
                bundle.digest_of(target / STATE),
                [],
            ),
            files=_needed(there, wanted),
        )
        manifest.write(self.folder, made)
        return Made(made, len(absent), copied, pin.is_held)

    def _copied(
        self, connection: Connection, absent: Sequence[Listed], pin: Pin
    ) -> Iterator[File]:
        """Bundles of the blocks that are not there yet."""
        total = sum(block.size for block in absent)
        check_room(self.folder, total)
        count = done = 0
        for chosen in _batches(absent):
            read: list[tuple[Listed, BlockRows]] = []
            for block in chosen:
                rows = rows_of_block(connection, block.id)
                pin.check()
                if rows is None:
                    text = f"block {block.id} went while the backup was made"
                    raise GoneError(text)
                if check_block(rows, None, is_deep=False):
                    self._damaged.append(block.id)
                read.append((block, rows))
            yield bundle.write_bundle(self.folder / BLOCKS, read)
            count += len(chosen)
            done += sum(block.size for block in chosen)
            self.tell(Progress(count, len(absent), done, total))


@contextmanager
def suppress_gone(*, again: bool) -> Iterator[None]:
    """Pass over blocks that went, when it can be begun again."""
    try:
        yield
    except GoneError as error:
        if not again:
            raise StoreError(f"{error}; try again when there is more room") from None


def check_room(folder: Path, needed: int) -> None:
    """Raise StoreError when so many bytes do not fit."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if needed * _FREE_SHARE > free:
        raise StoreError(
            f"{folder} has {free / 1e6:,.0f} MB free; {needed / 1e6:,.0f} MB are needed"
        )


def known_files(folder: Path) -> dict[str, File]:
    """Bundles that are there, by name; those of no backup are read."""
    known: dict[str, File] = {}
    for name in manifest.names(folder):
        with suppress(StoreError):
            known |= {file.name: file for file in manifest.read(folder / name).files}
    found: dict[str, File] = {}
    bundle.clear_incomplete(folder / BLOCKS)
    for path in bundle.bundles(folder / BLOCKS):
        if path.name in known:
            found[path.name] = known[path.name]
            continue
        try:
            found[path.name] = bundle.read_bundle(path)
        except StoreError:  # what can't be read can't be of use
            path.unlink()
    return found


def take_snapshot(connection: Connection, state: Path) -> Snapshot:
    """The state of one moment into a file, and the list of its blocks."""
    ((version,),) = connection.execute("PRAGMA user_version")
    if version != VERSION:
        raise StoreError(
            f"the store has version {version}; let the ingester take it to {VERSION}"
            " first: start it once"
        )
    state.unlink(missing_ok=True)
    target = open_fresh(state)
    try:
        target.execute("BEGIN")
        connection.execute("BEGIN")
        try:
            live = live_blocks(connection)
            for table in STATE_TABLES:
                copy_table(connection, target, table)
        finally:
            connection.execute("COMMIT")
        target.execute("COMMIT")
        ((commit,),) = target.execute("SELECT coalesce(max(block), 0) FROM producers")
        rows = target.execute("SELECT id, hash FROM chain ORDER BY id DESC LIMIT 1")
        event, head = rows.fetchone() or (0, b"")
        finish_fresh(target, state)
    finally:
        target.close()
    commit = max([commit, *(block.last for block in live)])
    return Snapshot(live, commit, event, head.hex())


def _batches(blocks: Sequence[Listed]) -> Iterator[list[Listed]]:
    """Blocks for one bundle each: fresh ones apart, which are replaced soon."""
    for _, group in groupby(
        sorted(blocks, key=lambda block: (block.id < COMPACTED, block.first)),
        key=lambda block: block.id < COMPACTED,
    ):
        batch: list[Listed] = []
        for block in group:
            if batch and sum(each.size for each in batch) + block.size > BUNDLE_BYTES:
                yield batch
                batch = []
            batch.append(block)
        if batch:
            yield batch


def _needed(there: dict[str, File], wanted: set[Key]) -> list[File]:
    """Bundles that have all the blocks; first those with the most of them."""
    left = set(wanted)
    found = []
    for file in sorted(
        there.values(), key=lambda file: -len(wanted.intersection(file.blocks))
    ):
        if not left.isdisjoint(file.blocks):
            found.append(file)
            left.difference_update(file.blocks)
    return found
