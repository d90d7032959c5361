"""A damaged database at the start: every readable block goes into a fresh file.

The damaged files are kept as `<name>.damaged-<UTC>`, and what could not be read is
`lost` in the producers' ledger.  The fresh file is built under another name, complete
and on disk before the first rename, so that a kill at any moment is made good by the
next start: `<name>.salvage` is thrown away, `<name>.salvaged-<UTC>` is put in place.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.errors import StoreError
from pipeline.store.check import Findings, inspect, refusal
from pipeline.store.database import (
    Connection,
    DatabaseError,
    finish_fresh,
    open_fresh,
    sync,
)
from pipeline.store.images import Images
from pipeline.store.ledger import Ledger
from pipeline.store.refill import Refill
from pipeline.store.rows import sealed_row

Say = Callable[[str], None]

_SUSPECT: Final = ".suspect"
_BUILDING: Final = ".salvage"
_BUILT: Final = ".salvaged-"
_DAMAGED: Final = ".damaged-"
_SHOWN: Final = 3
"""Flaws that are told; the first ones mostly explain the rest."""


class Salvaged(NamedTuple):
    """What came of it."""

    blocks: int
    entries: int
    lost_blocks: int
    lost_entries: int

    def __str__(self) -> str:
        kept = f"{self.blocks:,} blocks with {self.entries:,} entries are kept"
        if not self.lost_blocks and not self.lost_entries:
            return f"{kept}, nothing is lost"
        return (
            f"{kept}; {self.lost_blocks:,} blocks can't be read, {self.lost_entries:,}"
            " entries are counted as lost"
        )


def suspect(path: Path, why: str) -> None:
    """Have the next start salvage, whatever its check finds."""
    with suppress(OSError):
        _beside(path, _SUSPECT).write_text(why)


def heal(path: Path, now: int, say: Say, *, synced: bool = True) -> None:
    """Make a damaged database whole; the caller holds the lock. Raises StoreError.

    `synced`: whether each commit was, so that a power cut takes none of them.
    """
    try:
        _heal(path, now, say, synced=synced)
    except OSError as error:
        text = f"{path} can't be checked or salvaged: {error}"
        raise StoreError(text) from None


def _heal(path: Path, now: int, say: Say, *, synced: bool) -> None:
    _resume(path)
    if not path.is_file() or path.stat().st_size == 0:
        return
    images = Images(path, synced=synced)
    try:
        if (reason := refusal(images)) is not None:
            raise StoreError(f"{path} {reason}")
        found = inspect(images)
        flaws = [*_suspicion(path), *found.flaws]
        if not flaws:
            return
        more = f" and {len(flaws) - _SHOWN} more" if len(flaws) > _SHOWN else ""
        say(f"{path} is damaged: {'; '.join(flaws[:_SHOWN])}{more}")
        say(f"salvaging every block that can be read from {path}")
        stamp = _stamp(path, now)
        salvaged = _build(path, images, found, stamp, now)
    finally:
        images.close()
    _put_in_place(path, stamp)
    say(f"{salvaged}; the damaged files are {_beside(path, _DAMAGED + stamp)}*")


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _suspicion(path: Path) -> list[str]:
    with suppress(OSError):
        return [_beside(path, _SUSPECT).read_text()]
    return []


def _stamp(path: Path, now: int) -> str:
    """UTC to the second, and different from those that are there."""
    stamp = datetime.fromtimestamp(now // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    taken, number = stamp, 1
    while _beside(path, _DAMAGED + taken).exists():
        number += 1
        taken = f"{stamp}-{number}"
    return taken


def _resume(path: Path) -> None:
    """Finish what a kill has interrupted."""
    for built in path.parent.glob(f"{path.name}{_BUILT}*"):
        _put_in_place(path, built.name.removeprefix(path.name + _BUILT))
    for left in (_BUILDING, _BUILDING + "-wal", _BUILDING + "-shm"):
        _beside(path, left).unlink(missing_ok=True)


def _put_in_place(path: Path, stamp: str) -> None:
    """Each step may be the last one before a kill; a step that was made is passed."""
    for ending in ("-wal", ""):
        kept = _beside(path, _DAMAGED + stamp + ending)
        with suppress(FileNotFoundError):
            if not kept.exists():
                _beside(path, ending).rename(kept)
    _beside(path, "-shm").unlink(missing_ok=True)
    _beside(path, _BUILT + stamp).rename(path)
    _beside(path, _SUSPECT).unlink(missing_ok=True)
    sync(path.parent)


def _build(
    path: Path, images: Images, found: Findings, stamp: str, now: int
) -> Salvaged:
    """The fresh file, under its second name."""
    building = _beside(path, _BUILDING)
    connection = open_fresh(building)
    try:
        connection.execute("BEGIN")
        salvaged = _fill(connection, images, found, stamp, now)
        connection.execute("COMMIT")
        os.chmod(building, path.stat().st_mode & 0o7777)
        finish_fresh(connection, building)
    except (DatabaseError, OSError) as error:
        raise StoreError(
            f"{path} is damaged and can't be salvaged: {error}; it needs as much space"
            " again beside it"
        ) from None
    finally:
        connection.close()
    building.rename(_beside(path, _BUILT + stamp))
    sync(path.parent)
    return salvaged


def _fill(
    connection: Connection, images: Images, found: Findings, stamp: str, now: int
) -> Salvaged:
    ledger = Ledger()
    refill = Refill(connection, images, ledger, now)
    refill.run()
    account = ledger.close(rebuild="producers" not in found.sound_tables)
    connection.executemany(
        "INSERT INTO producers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (sealed_row(*row) for row in account.rows),
    )
    lost = refill.close(account.last_block)
    salvaged = Salvaged(refill.blocks, ledger.entries, lost, account.lost)
    connection.execute(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        (f"salvaged {stamp}", str(salvaged)),
    )
    return salvaged
