"""kill -9 of the process that follows files, while they are written and rotated.

Two files: one is renamed away and begun anew, the other copied and emptied.  Whoever
writes is the oracle: each line has the next number.  The copy is made while nobody
writes, for what comes between copy and emptying is lost to any reader.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.faults.oracle import Claim, check
from tests.faults.processes import Ingester, Process, started, wait_for
from tests.faults.report import Figures

KEPT = 60
"""Older selves of a file."""

BEHIND_MOST = 60_000
"""Lines that are not stored, beyond which nothing is rotated: what is deleted before it
was read is lost to anybody, and how soon that is depends on the machine."""

BURST = 100
PAUSE_SECONDS = 0.01
ROTATE_SECONDS = 1.0
ALL_STORED_SECONDS = 120.0

Rotate = Callable[[Path], None]


def rename(path: Path) -> None:
    """The file is another from now on; the writer opens the new one."""
    _shift(path)
    path.rename(_older(path, 1))


def copy_and_truncate(path: Path) -> None:
    """The file stays, and what was in it is in a copy."""
    _shift(path)
    shutil.copyfile(path, _older(path, 1))
    with path.open("r+b") as file:
        file.truncate(0)


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _shift(path: Path) -> None:
    _older(path, KEPT).unlink(missing_ok=True)
    for number in range(KEPT, 0, -1):
        if _older(path, number).exists():
            _older(path, number).rename(_older(path, number + 1))


class Writer(threading.Thread):
    """Writes numbered lines to a file, in two formats, and rotates it."""

    def __init__(
        self, path: Path, rotate: Rotate, is_behind: Callable[[], bool]
    ) -> None:
        super().__init__(daemon=True)
        self._is_behind = is_behind
        self.written = 0
        self.rotations = 0
        self._path = path
        self._rotate = rotate
        self._stop_asked = threading.Event()

    @property
    def claim(self) -> Claim:
        """What must be in the store: the file's name is the source."""
        return Claim(self._path.stem, self.written, self.written)

    def run(self) -> None:
        """Write until asked to stop."""
        due = time.monotonic() + ROTATE_SECONDS
        while not self._stop_asked.wait(PAUSE_SECONDS):
            self.write()
            if time.monotonic() >= due and not self._is_behind():
                self._rotate(self._path)
                self.rotations += 1
                due = time.monotonic() + ROTATE_SECONDS

    def write(self) -> None:
        """One burst of lines; it is more than one write."""
        with self._path.open("ab", buffering=1000) as file:
            for number in range(self.written + 1, self.written + BURST + 1):
                file.write(_line(number))
            self.written += BURST

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._stop_asked.set()
        self.join()


def _line(number: int) -> bytes:
    if number % 2:
        return b'{"level": "info", "message": "line", "n": %d}\n' % number
    return b"level=info msg=line n=%d\n" % number


class Tailer(Process):
    """`pipeline collect` beside an ingester."""

    def __init__(self, ingester: Ingester, *files: str) -> None:
        super().__init__(
            [sys.executable, "-m", "pipeline", "collect", *files],
            ingester.folder / "collector.log",
            "^collector ready",
            ingester.environment,
        )

    def kill_and_restart(self) -> None:
        """kill -9, and a new one at once."""
        self.kill()
        self.start()


def tailer_kills(folder: Path, *, long: bool) -> Figures:
    """The tailer is killed; each third time the ingester as well, a moment later."""
    blows = 30 if long else 3
    logs = folder / "logs"
    logs.mkdir()
    ingester = Ingester(folder)
    tailer = Tailer(ingester, f"{logs}/*.log")
    writers: list[Writer] = []

    def is_behind() -> bool:
        written = sum(writer.written for writer in writers)
        return written - _stored(ingester.database) > BEHIND_MOST

    writers.append(Writer(logs / "renamed.log", rename, is_behind))
    writers.append(Writer(logs / "copied.log", copy_and_truncate, is_behind))
    with started(ingester, tailer):
        # Of a file that nothing was stored of nobody can tell whether it was followed.
        for writer in writers:
            writer.write()
        _wait_until_stored(ingester.database, len(writers) * BURST)
        for writer in writers:
            writer.start()
        try:
            for number in range(blows):
                time.sleep(random.Random(number).uniform(0.5, 1.5))
                tailer.kill_and_restart()
                if number % 3 == 1:
                    time.sleep(random.Random(number).uniform(0, 0.3))
                    ingester.kill_and_restart()
        finally:
            for writer in writers:
                writer.stop()
        total = sum(writer.written for writer in writers)
        _wait_until_stored(ingester.database, total)
        assert tailer.stop() == 0
        assert ingester.stop() == 0
    verdict = check(ingester.database, [writer.claim for writer in writers])
    rotations = sum(writer.rotations for writer in writers)
    return verdict.figures("tailer kill -9", blows, note=f"{rotations} rotations")


def _wait_until_stored(database: Path, rows: int) -> None:
    """As many as were written; that they are the right ones is not said by that."""
    seconds = ALL_STORED_SECONDS
    wait_for(f"{rows:,} rows", lambda: _stored(database) >= rows, seconds)


def _stored(database: Path) -> int:
    query = "SELECT coalesce(sum(rows), 0) FROM blocks"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute(query).fetchone()[0])


FAULTS = {"tailer-kills": tailer_kills}
