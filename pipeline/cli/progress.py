"""How far long work is, on standard error: only a terminal is told, and not at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Final

from pipeline.clock import monotonic

FIRST_SECONDS: Final = 0.5
EVERY_SECONDS: Final = 0.2
_CLEAR: Final = "\r\x1b[K"


def how_far(rows: int, blocks: int, planned: int) -> str:
    """What a question has looked at."""
    return f"{rows:,} entries looked at, {blocks:,} of {planned:,} blocks"


class Progress:
    """While it is entered, shows what `tell` says; `pause` makes room for lines."""

    def __init__(self, tell: Callable[[], str], *, wanted: bool = True) -> None:
        self._tell = tell
        self._ended = Event()
        self._thread: Thread | None = None
        if wanted and sys.stderr.isatty():
            self._thread = Thread(target=self._show, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _show(self) -> None:
        started = monotonic()
        if self._ended.wait(FIRST_SECONDS):
            return
        while True:
            text = f"{monotonic() - started:.1f} s {self._tell()}".rstrip()
            print(f"{_CLEAR}{text}", end="", file=sys.stderr, flush=True)
            if self._ended.wait(EVERY_SECONDS):
                print(_CLEAR, end="", file=sys.stderr, flush=True)
                return
