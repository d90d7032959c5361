"""A file that is followed in the test's own thread, by a real link to an ingester."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.collectors.link import Link
from pipeline.collectors.tail.tailer import Tailer
from pipeline.settings.model import Files
from tests.running import RunningIngester

SECONDS = 20.0

_HELD: list[int] = []
"""Else an inode is free again when its file goes, for the next test's file that begins
with the same line: to the ingester, which they share, that is the old one."""


class Following:
    """Tailers over one file, one after another; `lines` are what was stored."""

    def __init__(self, ingester: RunningIngester, path: Path) -> None:
        self.path = path
        self.group = Files(paths=(str(path),))
        self._ingester = ingester
        self._tailer: Tailer | None = None
        self._link: Link | None = None

    def start(self, **options: object) -> None:
        """Follow, with these settings beside the path."""
        if options:
            self.group = Files(**{"paths": (str(self.path),), **options})
        self._link = Link((self._ingester.ingest, self._ingester.publish))
        self._tailer = Tailer([self.group], self._link)

    def stop(self) -> None:
        """As a killed process does: without a word."""
        if self._tailer is not None and self._link is not None:
            self._tailer.close()
            self._link.close()
            self._tailer = None

    def restart(self) -> None:
        """Another process goes on."""
        self.stop()
        self.start()

    @property
    def tailer(self) -> Tailer:
        """The one that runs."""
        assert self._tailer is not None
        return self._tailer

    @property
    def lines(self) -> list[str]:
        """The texts of what is stored, in the order of each stream."""
        return [entry.message for entry in self._ingester.entries(self.path.stem)]

    def turn_until(self, condition: Callable[[], object]) -> None:
        """Go on until it holds; raises AssertionError when it doesn't in time."""
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, list(self.tailer.status())
            self.tailer.turn()

    def turn_for(self, seconds: float) -> None:
        """Go on for a while, so that what must not happen could."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tailer.turn()

    def expect(self, *lines: str) -> None:
        """Each of these is stored, once, and nothing else."""
        self.turn_until(lambda: len(self.lines) >= len(lines))
        self.turn_for(0.15)
        assert sorted(self.lines) == sorted(lines)

    def append(self, text: str) -> None:
        """Write to the file as a logger does."""
        if not self.path.exists():
            _HELD.append(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o644))
        with self.path.open("a") as file:
            file.write(text)


def older(path: Path, number: int = 1) -> Path:
    """The name that rotation gives."""
    return path.with_name(f"{path.name}.{number}")


def copy_and_truncate(path: Path) -> None:
    """Rotation that leaves the file where it is."""
    shutil.copyfile(path, older(path))
    os.truncate(path, 0)
