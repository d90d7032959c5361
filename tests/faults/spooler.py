"""A process that appends to a spool and says outside what became of each row.

    python -m tests.faults.spooler FOLDER NOTES ROWS FSYNC [LARGEST_FILE]

NOTES is a file of a byte a row: 1 before its append, 2 once that has returned, 3 when
it was refused.  It ends without closing the spool, as a killed process does.
"""

from __future__ import annotations

import mmap
import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, cast

from pipeline.batch.encode import Row
from pipeline.delivery.spool import Fsync, Spool
from pipeline.errors import DeliveryError

TRIED: Final = 1
ACCEPTED: Final = 2
REFUSED: Final = 3

LIMIT: Final = 1 << 20
ROUND: Final = 20
"""Rows between two calls of sync."""


def spooled_row(number: int) -> Row:
    """All of them are of one length."""
    return (1_763_800_000_000_000_000, "web", 9, f"{number:0100d}", None, None, None)


class Notes:
    """What became of each row."""

    def __init__(self, path: Path, rows: int) -> None:
        """The file is made with room for rows 1 to `rows`."""
        with path.open("a+b") as file:
            file.truncate(rows + 1)
            self._bytes = mmap.mmap(file.fileno(), rows + 1)
        self.rows = rows

    def __setitem__(self, number: int, state: int) -> None:
        self._bytes[number] = state

    def having(self, states: Iterable[int]) -> set[int]:
        """Numbers of rows in one of these states."""
        wanted = set(states)
        content = self._bytes[: self.rows + 1]
        return {number for number, state in enumerate(content) if state in wanted}


def append(spool: Spool, notes: Notes, number: int) -> bool:
    """Append one row and note it; whether it was taken."""
    notes[number] = TRIED
    try:
        spool.append_row(number, spooled_row(number))
    except DeliveryError:
        notes[number] = REFUSED
        return False
    notes[number] = ACCEPTED
    return True


def main() -> None:
    """Append, sync now and then, end as if killed; failed syncs go to stdout."""
    folder, notes_path, rows, fsync, *largest = sys.argv[1:]
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest[0]), -1))
    spool = Spool(
        Path(folder), os.urandom(16), limit_bytes=LIMIT, fsync=cast("Fsync", fsync)
    )
    notes = Notes(Path(notes_path), int(rows))
    failed = 0
    for number in range(1, notes.rows + 1):
        append(spool, notes, number)
        if number % ROUND == 0:
            try:
                spool.sync(float(number))
            except DeliveryError:
                failed += 1
    print(failed, spool.unsafe, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
