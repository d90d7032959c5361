"""`pipeline restore`: makes a store of a backup, where none is."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.cli.progress import Progress


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "Nothing is overwritten: DB must not exist. Start an ingester with"
        " storage.db_path: DB afterwards."
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where backups are")
    parser.add_argument("database", type=Path, metavar="DB", help="the file to make")
    parser.add_argument(
        "--at",
        metavar="NAME",
        help="the backup whose name begins so, such as 20260131T0400; default: newest",
    )


def run(arguments: Namespace) -> int:
    """Restore it; the exit code."""
    from pipeline.backup.restore import restore

    far = [""]
    with Progress(lambda: far[0]):
        made = restore(
            arguments.folder,
            arguments.database,
            arguments.at,
            lambda done: far.__setitem__(0, str(done)),
        )
    print(
        f"{arguments.database}: {made.rows:,} entries in {len(made.blocks):,} blocks up"
        f" to commit {made.commit:,}, from {made.name}"
    )
    print(f"chain: {made.head} after {made.event:,} events")
    for block in made.damaged:
        print(f"block {block} was damaged when the backup was made")
    return 1 if made.damaged else 0
