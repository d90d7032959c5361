"""What a backup consists of: JSON that is written last and covers itself by SHA-256.

A folder of backups::

    lock                        held while a backup runs
    blocks/<sha256>.db          bundles of blocks, which many backups share
    <UTC>-<commit>/state.db     all but the blocks: marks, templates, chain ...
    <UTC>-<commit>/manifest.json
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import Any, Final, NamedTuple

from pipeline.backup.bundle import File, Key
from pipeline.errors import StoreError
from pipeline.store.database import sync

FORMAT: Final = 1
BLOCKS: Final = "blocks"
STATE: Final = "state.db"
MANIFEST: Final = "manifest.json"

_NAME: Final = re.compile(r"\d{8}T\d{6}Z-\d+")
_STATE_BUILDING: Final = re.compile(r"\d+\.state.*")


class Manifest(NamedTuple):
    """A backup; its state is that of right after commit `commit`."""

    name: str
    database: str
    """The path that it is of."""

    time: int
    """When it was begun, in ns."""

    commit: int
    rows: int
    blocks: list[Key]
    event: int
    head: str
    """Number and hash of the chain's newest event."""

    damaged: list[int]
    """Blocks that are damaged in the store itself, copied as they are."""

    state: File
    files: list[File]

    def pack(self) -> str:
        """As JSON."""
        content: dict[str, Any] = {"format": FORMAT, **self._asdict()}
        content["state"] = self.state.as_json()
        content["files"] = [file.as_json() for file in self.files]
        return json.dumps(content | {"sha256": _digest(content)})

    @property
    def size(self) -> int:
        """Bytes of all that belongs to it."""
        return self.state.size + sum(file.size for file in self.files)


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def name_of(time: int, commit: int) -> str:
    """A backup's folder: UTC, and the commit that it ends with."""
    moment = datetime.fromtimestamp(time // 1_000_000_000, UTC)
    return f"{moment:%Y%m%dT%H%M%SZ}-{commit}"


def write(folder: Path, manifest: Manifest) -> None:
    """Make a backup one, on disk."""
    path = folder / manifest.name / MANIFEST
    building = path.with_name(f"{MANIFEST}.building")
    with building.open("w", encoding="utf-8") as file:
        file.write(manifest.pack())
        file.flush()
        os.fsync(file.fileno())
    building.rename(path)
    for changed in (path.parent, folder):
        sync(changed)


def read(path: Path) -> Manifest:
    """The manifest of a backup's folder; raises StoreError."""
    try:
        content = json.loads((path / MANIFEST).read_text("utf-8"))
        if content.pop("format") != FORMAT:
            raise StoreError(f"{path} was made by a newer program")
        if content.pop("sha256") != _digest({"format": FORMAT, **content}):
            raise StoreError(f"{path / MANIFEST} was changed: its SHA-256 is wrong")
        content["blocks"] = [(key[0], key[1], key[2]) for key in content["blocks"]]
        content["state"] = File.of_json(content["state"])
        content["files"] = [File.of_json(each) for each in content["files"]]
        return Manifest(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path / MANIFEST} can't be read: {error}") from None


def names(folder: Path) -> list[str]:
    """The complete backups, the oldest first."""
    found = [path.parent.name for path in folder.glob(f"*/{MANIFEST}")]
    ours = filter(_NAME.fullmatch, found)
    return sorted(ours, key=lambda name: (name[:16], int(name[17:])))


def choose(folder: Path, wanted: str | None) -> str:
    """The name of a backup that begins so, of the newest by default."""
    there = names(folder)
    if not there:
        raise StoreError(f"{folder} has no complete backup")
    if wanted is None:
        return there[-1]
    found = [name for name in there if name.startswith(wanted)]
    if wanted in found:
        return wanted
    if len(found) != 1:
        known = ", ".join(there[-5:])
        what = "no backup" if not found else f"{len(found)} backups"
        raise StoreError(f"{what} in {folder} with {wanted!r}; there are {known}")
    return found[0]


def forget(folder: Path, doomed: Sequence[str]) -> None:
    """Remove backups: first what makes them one."""
    for name in doomed:
        (folder / name / MANIFEST).unlink()
        rmtree(folder / name)


def clear_incomplete(folder: Path) -> None:
    """Remove what a kill left of a backup; its bundles are of use to the next."""
    for path in folder.iterdir():
        if _STATE_BUILDING.fullmatch(path.name):
            path.unlink()
        elif _NAME.fullmatch(path.name) and not (path / MANIFEST).exists():
            rmtree(path)
