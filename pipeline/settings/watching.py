"""The configuration file of a running process: has it changed, and what is in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.errors import PipelineError
from pipeline.settings.model import Settings

LOOK_SECONDS: Final = 1.0

Mark = tuple[int, int, int]


class WatchedFile:
    """Asked once a second; a change counts once the file has rested for one look."""

    def __init__(self, path: str | None) -> None:
        """None: there is no file, and nothing ever changes."""
        self._path = None if path is None else Path(path)
        self._known = self._seen = self._mark()
        self._look_at = 0.0

    def has_changed(self, now: float) -> bool:
        """Whether there is another file than was read last; `now` in seconds."""
        if self._path is None or now < self._look_at:
            return False
        self._look_at = now + LOOK_SECONDS
        before, self._seen = self._seen, self._mark()
        # one that is gone for a moment is being replaced
        is_at_rest = self._seen is not None and self._seen == before
        if not is_at_rest or self._seen == self._known:
            return False
        self._known = self._seen
        return True

    def is_read(self) -> None:
        """It is read now, for another reason."""
        self._known = self._seen = self._mark()

    def _mark(self) -> Mark | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


class Configuration(NamedTuple):
    """Where the settings of a process come from, and how they are read anew.

    `load` only reads them. `read` has all processes' checked and takes a second; it
    raises PipelineError with everything that is wrong.
    """

    load: Callable[[], Settings]
    read: Callable[[], Settings]
    path: str | None = None


class Reading:
    """The configuration, read on a thread for a loop that must not wait."""

    def __init__(self, configuration: Configuration) -> None:
        self._load, self._read = configuration.load, configuration.read
        self._file = WatchedFile(configuration.path)
        self._thread: threading.Thread | None = None
        self._asked = 0
        self._result: Settings | PipelineError | None = None

    def ask(self) -> None:
        """Read it, also once more if it is being read; a signal handler may call."""
        self._asked += 1

    def step(self, now: float) -> Settings | PipelineError | None:
        """Begin what was asked for; what was read, or why not; None: nothing new."""
        if self._file.has_changed(now):
            self._asked += 1
        if self._thread is not None and not self._thread.is_alive():
            self._thread = None
            return self._result
        if self._asked and self._thread is None:
            self._asked = 0
            self._file.is_read()
            self._thread = threading.Thread(
                target=self._run, name="reading the configuration", daemon=True
            )
            self._thread.start()
        return None

    def now(self) -> Settings:
        """Loaded at once, for who has had it checked; raises PipelineError."""
        self._file.is_read()
        return self._load()

    @property
    def is_running(self) -> bool:
        """Whether something is about to be known."""
        return bool(self._asked) or self._thread is not None

    def _run(self) -> None:
        try:
            self._result = self._read()
        except PipelineError as error:
            self._result = error
