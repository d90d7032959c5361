"""`pipeline archive`: moves what is old out of the store, into files of its own.

What is in a file that was synced and read back leaves the store; nothing else does.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.cli import options
from pipeline.cli.backup import NICE, add_store, age
from pipeline.cli.progress import Progress

if TYPE_CHECKING:
    from pipeline.backup.archive import Archived


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "Each file is a store: `pipeline query --db FILE`, `pipeline verify FILE`."
        " The ingester has to run, which alone deletes."
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where files go")
    parser.add_argument(
        "--before",
        type=age,
        required=True,
        metavar="AGE",
        help="what was stored longer ago: 30d, 12w",
    )
    parser.add_argument(
        "--file-mb",
        type=options.count,
        default=64,
        metavar="N",
        help="of blocks in a file (default 64); at most 10 files are asked together",
    )
    add_store(parser)


def run(arguments: Namespace) -> int:
    """Archive it; the exit code."""
    import json

    from pipeline import clock
    from pipeline.backup.archive import Archive
    from pipeline.cli.asking import settings_of
    from pipeline.control import endpoint_of

    settings = settings_of(arguments)
    os.nice(NICE)
    database = settings.storage.db_path
    far = [""]
    archive = Archive(
        Path(database),
        arguments.folder,
        endpoint_of(settings.control.endpoint, database),
        f"shell, user {os.getuid()}",
        lambda done: far.__setitem__(0, str(done)),
        max(1, arguments.file_mb) << 20,
    )
    files: list[dict[str, Any]] = []
    with Progress(lambda: far[0]):
        before = clock.now_ns() - arguments.before
        files.extend(_told(made) for made in archive.run(before))
    if arguments.json:
        print(json.dumps(files))
        return 0
    for file in files:
        print(f"{file['file']}: {file['entries']:,} entries in {file['blocks']} blocks")
    if not files:
        print("nothing is as old")
    return 0


def _told(made: Archived) -> dict[str, Any]:
    return {
        "file": str(made.path),
        "entries": made.rows,
        "blocks": len(made.blocks),
    }
