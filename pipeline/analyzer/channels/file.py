"""A file: each notice is appended as one line of JSON.

It is opened for each of them, which are few: so a rotation, by rename or by truncation,
needs no signal.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pipeline.analyzer.book import Notice
from pipeline.analyzer.channels.channel import Undelivered
from pipeline.analyzer.channels.payload import payload

_MODE: Final = 0o640
"""Alerts quote entries: not for everybody."""


class JsonLines:
    """Appends to one path."""

    repeat_seconds = None

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def deliver(self, notice: Notice, now: float) -> None:
        """The line is whole, or the attempt has failed."""
        del now
        flags = os.O_APPEND | os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(self._path, flags, _MODE)
            try:
                _append(descriptor, payload(notice) + b"\n")
            finally:
                os.close(descriptor)
        except OSError as error:
            problem = error.strerror or str(error)
            raise Undelivered(f"{self._path}: {problem}") from None

    def repeat(self, notices: list[Notice], now: float) -> None:
        """Never asked for."""


def _append(descriptor: int, line: bytes) -> None:
    """One write, which other writers can't split; what a full disk cut is ended."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        line = b"\n" + line
    written = os.write(descriptor, line)
    if written != len(line):
        raise OSError(f"only {written} of {len(line)} bytes were written")
