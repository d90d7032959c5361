"""`pipeline backup`: copies the store into a folder while it goes on being written.

What the folder has already is not copied again, and a backup that was killed goes on
where it was.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.cli.progress import Progress

if TYPE_CHECKING:
    from pipeline.backup.backup import Made

NICE: Final = 10
"""Ingestion goes first."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "Ends with 0 when the backup is complete, 1 when it is not, or holds blocks"
        " that are damaged in the store."
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where backups are")
    add_store(parser)
    group = parser.add_argument_group("old backups")
    group.add_argument(
        "--keep", type=_count, metavar="N", help="remove all but the newest N"
    )
    group.add_argument(
        "--max-age", type=age, metavar="AGE", help="remove older ones: 12h, 30d"
    )


def add_store(parser: ArgumentParser) -> None:
    """Which store."""
    group = parser.add_argument_group("which store")
    group.add_argument("--config", metavar="FILE", help="settings, as YAML")
    group.add_argument("--db", metavar="FILE", help="instead of storage.db_path")
    group.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: Namespace) -> int:
    """Make it and remove old ones; the exit code."""
    import json

    from pipeline import clock
    from pipeline.backup.backup import Backup
    from pipeline.cli.asking import settings_of
    from pipeline.control import endpoint_of

    settings = settings_of(arguments)
    os.nice(NICE)
    database = settings.storage.db_path
    endpoint = endpoint_of(settings.control.endpoint, database)
    far = [""]
    started = clock.monotonic()
    backup = Backup(
        Path(database),
        arguments.folder,
        endpoint,
        lambda done: far.__setitem__(0, str(done)),
        arguments.keep,
        arguments.max_age,
    )
    with Progress(lambda: far[0]):
        made = backup.make(clock.now_ns())
    if arguments.json:
        print(json.dumps(_told(made)))
    else:
        _show(made, clock.monotonic() - started)
    return 1 if made.manifest.damaged else 0


def _told(made: Made) -> dict[str, object]:
    backup = made.manifest
    return {
        "name": backup.name,
        "commit": backup.commit,
        "entries": backup.rows,
        "blocks": len(backup.blocks),
        "copied_blocks": made.copied_blocks,
        "copied_bytes": made.copied_bytes,
        "bytes": backup.size,
        "chain_head": backup.head,
        "damaged": backup.damaged,
        "removed": list(made.removed),
    }


def _show(made: Made, seconds: float) -> None:
    backup = made.manifest
    print(
        f"{backup.name}: {backup.rows:,} entries in {len(backup.blocks):,} blocks up to"
        f" commit {backup.commit:,}; {made.copied_blocks:,} blocks copied,"
        f" {made.copied_bytes / 1e6:,.1f} MB in {seconds:.1f} s"
    )
    print(f"chain: {backup.head} after {backup.event:,} events")
    for block in backup.damaged:
        print(f"block {block} is damaged in the store; it was copied as it is")
    if made.removed:
        print(f"removed: {', '.join(made.removed)}")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number of backups; must be 1 or more")
    return int(text)


def age(text: str) -> int:
    """An age such as 12h or 30d, in ns."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
    if text[:-1].isdecimal() and text[-1] in units:
        return int(text[:-1]) * units[text[-1]] * 1_000_000_000
    raise ArgumentTypeError(f"{text!r} is no age; must be such as 12h, 30d or 8w")
