"""Bundles: files of some blocks, each a small store of its own, and never changed.

A bundle is complete under another name before it gets its own, which is the beginning
of its SHA-256: what a kill left behind is either whole or thrown away.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.errors import StoreError
from pipeline.store.database import (
    DatabaseError,
    finish_fresh,
    open_fresh,
    open_reader,
    sync,
)
from pipeline.store.listed import Listed, live_blocks
from pipeline.store.rows_of_block import BlockRows, insert_block

ENDING: Final = ".db"
BUILDING: Final = ".building"
LOCK: Final = "lock"
BUNDLE_BYTES: Final = 16 << 20
"""Of blocks in a bundle: few files, and little is copied twice after a kill."""

_READ_BYTES: Final = 1 << 20
_NAME_DIGITS: Final = 24
_OURS: Final = re.compile(r"[0-9a-f]{24}\.db|\d+\.building.*")
"""What a bundle, or the beginning of one, is called: nothing else is removed."""

Key = tuple[int, int, int]
"""Id, header's CRC and time of a block: no other block has the same."""


class File(NamedTuple):
    """A file of a backup; `blocks` are those in it."""

    name: str
    size: int
    sha256: str
    blocks: list[Key]

    def as_json(self) -> dict[str, Any]:
        """As the manifest has it."""
        return {"name": self.name, "bytes": self.size, "sha256": self.sha256} | {
            "blocks": self.blocks
        }

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> File:
        """Of a manifest; raises KeyError or TypeError."""
        blocks: list[Key] = [(key[0], key[1], key[2]) for key in found["blocks"]]
        return cls(found["name"], found["bytes"], found["sha256"], blocks)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    found = sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            found.update(piece)
    return found.hexdigest()


def write_bundle(folder: Path, blocks: Sequence[tuple[Listed, BlockRows]]) -> File:
    """A bundle of these blocks, on disk. Raises StoreError."""
    building = folder / f"{os.getpid()}{BUILDING}"
    _remove(building)
    connection = open_fresh(building)
    try:
        connection.execute("BEGIN")
        for _, rows in blocks:
            insert_block(connection, rows)
        connection.execute("COMMIT")
        finish_fresh(connection, building)
        digest = digest_of(building)
        name = f"{digest[:_NAME_DIGITS]}{ENDING}"
        size = building.stat().st_size
        building.rename(folder / name)
        sync(folder)
    except (DatabaseError, OSError) as error:
        raise StoreError(f"{folder} can't be written: {error}") from None
    finally:
        connection.close()
        _remove(building)
    return File(name, size, digest, [listed.key for listed, _ in blocks])


def read_bundle(path: Path) -> File:
    """What a bundle has that no manifest tells of; raises StoreError."""
    digest = digest_of(path)
    if not digest.startswith(path.name.removesuffix(ENDING)):
        raise StoreError(f"{path} was changed: its SHA-256 is not that of its name")
    try:
        with closing(open_reader(path)) as connection:
            keys = [block.key for block in live_blocks(connection)]
    except DatabaseError as error:
        raise StoreError(f"{path} can't be read: {error}") from None
    return File(path.name, path.stat().st_size, digest, keys)


def bundles(folder: Path) -> list[Path]:
    """What has the name of a bundle."""
    return [path for path in sorted(folder.glob(f"*{ENDING}")) if _is_ours(path)]


def clear_incomplete(folder: Path) -> None:
    """Remove what a kill left behind."""
    for path in folder.glob(f"*{BUILDING}*"):
        if _is_ours(path):
            path.unlink(missing_ok=True)


def clean(folder: Path, wanted: Iterable[str]) -> int:
    """Remove bundles that nothing needs, and what a kill left behind; how many."""
    keep = set(wanted)
    count = 0
    for path in folder.iterdir():
        if path.name not in keep and _is_ours(path):
            _remove(path)
            count += path.name.endswith(ENDING)
    return count


def _is_ours(path: Path) -> bool:
    return _OURS.fullmatch(path.name) is not None


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """The only one that writes into a folder; raises StoreError when another does."""
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StoreError(f"another {what} into {folder} runs") from None
        yield
    finally:
        os.close(file)


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).unlink()
