"""One thread that others wake through a pipe; started once, whoever interrupts whom.

A signal's handler runs between any two steps of the main thread, holds its locks, and
may call all of this again, or raise.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress


class WokenThread:
    """A daemon thread with a bell."""

    def __init__(self, name: str, run: Callable[[], None]) -> None:
        self._name = name
        self._run = run
        self._lock = threading.RLock()
        self._hung_up = True
        self._thread: threading.Thread | None = None
        self._begun = False
        """Whether `run` was entered: from then on there is no other thread."""

    def start(self) -> None:
        """Start it, unless it was; calls of other threads are to be kept apart.

        Raises OSError when too many files are open, RuntimeError when too many threads
        run: it can be started later.
        """
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._enter, name=self._name, daemon=True)
        try:
            # A handler may have started one meanwhile; none comes between these lines.
            if self._thread is None:
                self._thread = thread
                self._hang_bell()
                thread.start()
        except BaseException:
            self._withdraw()
            raise

    def _hang_bell(self) -> None:
        self.bell, self._bell_in = os.pipe()
        os.set_blocking(self.bell, False)
        os.set_blocking(self._bell_in, False)
        self._hung_up = False

    def _enter(self) -> None:
        with self._lock:
            if self._thread is not threading.current_thread():  # withdrawn
                return
            self._begun = True
        self._run()

    def _withdraw(self) -> bool:
        """Have no thread, unless it has begun; whether there is none."""
        with self._lock:
            if not self._begun:
                self._thread = None
                self._hang_up()
            return not self._begun

    def ring(self) -> None:
        """Wake it; a full pipe has woken it already."""
        with self._lock, suppress(OSError):
            if not self._hung_up:
                os.write(self._bell_in, b"x")

    def hush(self) -> None:
        """Forget that it was woken; for the thread itself."""
        with suppress(BlockingIOError):
            while len(os.read(self.bell, 4096)) == 4096:
                pass

    def join(self, timeout: float) -> bool:
        """Wait for its end; False when it has not run, and never will."""
        thread = self._thread
        if thread is None or self._withdraw():
            return False
        thread.join(timeout)
        with self._lock:
            if not thread.is_alive():
                self._hang_up()
        return True

    def _hang_up(self) -> None:
        if not self._hung_up:
            self._hung_up = True
            os.close(self._bell_in)
            os.close(self.bell)

    @property
    def runs(self) -> bool:
        """Whether it was started."""
        return self._thread is not None

    def is_current(self) -> bool:
        """Whether it is this thread that asks."""
        return threading.current_thread() is self._thread
