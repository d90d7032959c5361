"""`pipeline verify`: is a store, or a folder of backups, what was written to it?

Reads all of it. The ingester may run; without it the pages of the file are looked at
as well.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping
from pathlib import Path
from string import hexdigits
from typing import TYPE_CHECKING, Final

from pipeline.cli.progress import Progress

if TYPE_CHECKING:
    from pipeline.store.verify import Verdict

DAMAGED: Final = 1
HEAD_DIGITS: Final = 64
SHOWN: Final = 100
"""Lines about one store; the rest are counted."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = "Ends with 0 when all is sound, 1 when something is wrong."
    parser.add_argument(
        "place",
        type=Path,
        nargs="?",
        metavar="DB|DIR",
        help="a database, or a folder of backups; default: storage.db_path",
    )
    parser.add_argument("--config", metavar="FILE", help="settings, as YAML")
    parser.add_argument("--at", metavar="NAME", help="of a folder, only this backup")
    parser.add_argument(
        "--head",
        type=_head,
        metavar="HEX",
        help="a hash of the chain that was kept elsewhere, which must be in it; of a"
        " folder: in its newest backup",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: Namespace) -> int:
    """Verify it and tell; the exit code."""
    import json
    from dataclasses import asdict

    from pipeline.backup.verify import is_backups, verify_backups
    from pipeline.errors import StoreError
    from pipeline.store.verify import verify_store

    path = arguments.place or _database(arguments)
    if arguments.at is not None and not is_backups(path):
        raise StoreError(f"{path} is no folder of backups: --at needs one")
    far = [0, 0]
    with Progress(lambda: f"{far[0]:,} of {far[1]:,} {what}"):
        tell = lambda *done: far.__setitem__(slice(0, 2), done)  # noqa: E731
        what = "files" if is_backups(path) else "blocks"
        if is_backups(path):
            found = verify_backups(path, arguments.at, tell, arguments.head)
        else:
            found = {str(path): verify_store(path, tell, arguments.head)}
    if arguments.json:
        print(json.dumps({name: asdict(verdict) for name, verdict in found.items()}))
    else:
        _show(found)
    return 0 if all(verdict.is_sound for verdict in found.values()) else DAMAGED


def _head(text: str) -> str:
    if len(text) != HEAD_DIGITS or set(text.lower()) - set(hexdigits):
        problem = f"{text!r} is no hash; must be {HEAD_DIGITS} hex digits"
        raise ArgumentTypeError(problem)
    return text.lower()


def _database(arguments: Namespace) -> Path:
    import os

    from pipeline.settings import load

    return Path(load(arguments.config, os.environ, {}).storage.db_path)


def _show(found: Mapping[str, Verdict]) -> None:
    for name, verdict in found.items():
        print(
            f"{name}: {verdict.rows:,} entries in {verdict.blocks:,} blocks up to"
            f" commit {verdict.commit:,}"
        )
        if verdict.head:
            later = f"; {verdict.unchained} newer blocks" if verdict.unchained else ""
            print(f"chain: {verdict.head} after {verdict.events:,} events{later}")
        for note in verdict.notes:
            print(f"note: {note}")
        lines = [
            f"block {block}: {flaw}"
            for block, flaws in verdict.damaged.items()
            for flaw in flaws
        ]
        lines += verdict.flaws
        for line in lines[:SHOWN]:
            print(line, file=sys.stderr)
        if len(lines) > SHOWN:
            print(f"and {len(lines) - SHOWN:,} more", file=sys.stderr)
        blocks = len(verdict.damaged)
        print("sound" if verdict.is_sound else f"DAMAGED: {blocks:,} blocks, see above")
