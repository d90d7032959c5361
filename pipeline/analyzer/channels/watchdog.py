"""A bound on the whole of an exchange: a socket's own time-out starts anew with each
byte, so that a server which drips its answer would hold a lane for hours.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType


class Watchdog:
    """Shuts the socket after so many seconds, which wakes who waits for it."""

    def __init__(
        self, seconds: float, find: Callable[[], socket.socket | None]
    ) -> None:
        self.fired = False
        self._find = find
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True

    def __enter__(self) -> Watchdog:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()

    def _shut(self) -> None:
        self.fired = True
        found = self._find()
        if found is not None:
            with contextlib.suppress(OSError):
                # of the plain socket: a TLS one would drop what its reader still uses
                socket.socket.shutdown(found, socket.SHUT_RDWR)
