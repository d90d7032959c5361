"""How the fixtures here were made: stores and spools by the programs of their time.

    python -m tests.golden.upgrades.make NAME ...

Each commit is checked out into a clone of its own, and its own ingester, collectors and
compaction write what they would have written.  NAME.tar.zst has `store.db`, `spool/`,
and `entries.json`, which says what was logged; a kept one has `backups/` and `archive/`
too.  What is here is not made again.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

import zstandard

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]

COMMITS = {
    "store-1": "d9e659f",
    "store-2": "097200f^",
    "store-3": "efd6e46^",
    "store-4": "8f93da8^",
    "store-5-new": "bc30019",
    "store-5": "f9acbde^",
    "store-6": "d8b0457",
    "spool-first": "e0a28eb",
}
"""The last commit of each version of the tables (any of the present one's), and the
first with blocks that were compacted, and with a spool."""

KEPT = {
    "kept-6": "46b20f5",
}
"""Backups and an archive, by version of the tables."""

LOGGING, KEEPING = FOLDER / "logging_program.py", FOLDER / "keeping_program.py"


def make(name: str, commit: str, program: Path) -> None:
    """One fixture, from a clone of this repository."""
    with tempfile.TemporaryDirectory() as place:
        clone, made = Path(place, "clone"), Path(place, "made")
        made.mkdir()
        for words in (
            ["clone", "-q", str(ROOT), str(clone)],
            ["checkout", "-q", commit],
        ):
            where = ROOT if words[0] == "clone" else clone
            subprocess.run(["git", *words], cwd=where, check=True)
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(clone), "HOME": place}
        subprocess.run(
            [sys.executable, str(program), str(made)],
            cwd=clone,
            env=environ,
            check=True,
        )
        pack(made, FOLDER / f"{name}.tar.zst")
        with closing(sqlite3.connect(made / "store.db")) as connection:
            ((version,),) = connection.execute("PRAGMA user_version")
        logged = json.loads((made / "entries.json").read_text())
        counts = {
            kind: len(rows) if isinstance(rows, list) else rows
            for kind, rows in logged.items()
        }
        print(name, commit, f"version {version}", counts)


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True)


def pack(folder: Path, path: Path) -> None:
    """All files of a folder, the same bytes for the same files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not file.is_socket():
                about = tarfile.TarInfo(str(file.relative_to(folder)))
                about.size = file.stat().st_size
                archive.addfile(about, io.BytesIO(file.read_bytes()))
    path.write_bytes(zstandard.ZstdCompressor(19).compress(stream.getvalue()))


def unpack(path: Path, folder: Path) -> None:
    """What `pack` has packed."""
    content = zstandard.ZstdDecompressor().decompress(
        path.read_bytes(), max_output_size=1 << 28
    )
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")


if __name__ == "__main__":
    for name in sys.argv[1:] or {**COMMITS, **KEPT}:
        program = KEEPING if name in KEPT else LOGGING
        if not (FOLDER / f"{name}.tar.zst").exists():
            make(name, {**COMMITS, **KEPT}[name], program)
