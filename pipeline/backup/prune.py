"""Which old backups go, by number or by age; pure but for `prune`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.backup import bundle, manifest
from pipeline.backup.manifest import BLOCKS
from pipeline.errors import StoreError


def doomed(
    names: Sequence[str],
    keep: int | None,
    max_age: int | None,
    now: int,
    made: str | None = None,
) -> list[str]:
    """Of backups, the oldest first, those to remove: beyond the newest `keep`, and
    older than `max_age` (both times in ns). The newest stays, and so does `made`,
    which is older by name when the clock was set back."""
    old = [name for name in names[:-1] if name != made]
    beyond = set(old[: max(0, len(names) - keep)]) if keep is not None else set()
    if max_age is not None:
        beyond |= {name for name in old if now - _time(name) > max_age}
    return [name for name in old if name in beyond]


def _time(name: str) -> int:
    moment = datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000


def prune(
    folder: Path,
    keep: int | None,
    max_age: int | None,
    now: int,
    made: str | None = None,
) -> list[str]:
    """Remove them, and the blocks that none of the others has; their names.

    Under the folder's lock: a backup that runs has bundles that no manifest names yet.
    """
    gone = doomed(manifest.names(folder), keep, max_age, now, made)
    manifest.forget(folder, gone)
    needed: set[str] = set()
    for name in manifest.names(folder):
        try:
            needed |= {file.name for file in manifest.read(folder / name).files}
        except StoreError:  # it may still need any of them
            return gone
    bundle.clean(folder / BLOCKS, needed)
    return gone
