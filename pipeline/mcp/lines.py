"""Lines of a descriptor that a thread reads, for a loop that must be able to end.

asyncio can't wait for a file, and a thread of a pool that waits for standard input
keeps the process alive: this one is left behind.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

LINE_BYTES: Final = 1 << 20
"""A call is some hundred bytes; a longer line is answered as one that isn't JSON."""

READ_BYTES: Final = 1 << 16
AHEAD: Final = 64
"""Lines that wait for the loop; then the sender waits."""


class LineSplitter:
    """Cuts pieces of a stream into lines; one that is too long becomes an empty one."""

    def __init__(self, longest: int = LINE_BYTES) -> None:
        self._longest = longest
        self._rest = bytearray()
        self._skips = False

    def feed(self, piece: bytes) -> list[str]:
        """The lines that this piece completes, without their ends."""
        *ends, last = piece.split(b"\n")
        lines = [self._complete(end) for end in ends]
        self._add(last)
        return lines

    def _complete(self, end: bytes) -> str:
        self._add(end)
        line = "" if self._skips else self._rest.decode("utf-8", "replace")
        self._rest.clear()
        self._skips = False
        return line

    def _add(self, piece: bytes) -> None:
        if self._skips or len(self._rest) + len(piece) > self._longest:
            self._skips = True
            self._rest.clear()
        else:
            self._rest += piece


async def lines(descriptor: int) -> AsyncIterator[str]:
    """Each line as it comes; ends with the stream."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    room = threading.Semaphore(AHEAD)

    def put(line: str | None) -> None:
        room.acquire()
        loop.call_soon_threadsafe(queue.put_nowait, line)

    def read() -> None:
        splitter = LineSplitter()
        with suppress(RuntimeError):  # the loop has ended, and nobody reads any more
            while piece := _read(descriptor):
                for line in splitter.feed(piece):
                    put(line)
            put(None)

    threading.Thread(target=read, daemon=True).start()
    while (line := await queue.get()) is not None:
        room.release()
        yield line


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError:  # a terminal that hung up
        return b""
