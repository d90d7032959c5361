"""The thread that compresses and writes, so that the main one goes on receiving.

One commit at a time: while it runs the next one gathers, and when that is full too the
ingester stops receiving, which is how senders feel the disk.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pipeline import clock
from pipeline.errors import DamageError, StoreError
from pipeline.ingester.intake import Cut
from pipeline.store.block import Sealed, seal_block
from pipeline.store.writer import Writer

SYNC_SECONDS: Final = 1.0
"""Between two syncs of what was acknowledged before it was on disk."""


@dataclass(slots=True)
class Commit:
    """A cut on its way to disk, and how that ended."""

    cut: Cut
    sealed: list[Sealed] | None = None
    first_block: int = 0
    error: str | None = None


@dataclass(slots=True)
class Chore:
    """Other work for the writer, done between commits, and how that ended."""

    work: Callable[[Writer], Any]
    result: Any = None
    error: str | None = None


class Committer:
    """Runs commits on a thread of its own; `wake` can be read when one has ended."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._jobs: deque[Commit | None] = deque()
        self._ended: deque[Commit] = deque()
        self._chores: deque[Chore] = deque()
        self._done: deque[Chore] = deque()
        self._ready = threading.Semaphore(0)
        self.wake, self._bell = os.pipe()
        os.set_blocking(self.wake, False)
        self.busy = False
        self.has_chore = False
        """One at a time; a commit that waits goes first."""

        self.is_short = False
        """Whether the disk has little room: chores then leave nothing in the WAL."""

        self._broken: Exception | None = None
        self._sync_at = clock.monotonic() + SYNC_SECONDS
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    def submit(self, commit: Commit) -> None:
        """Start a commit, or try one again that failed; only when not `busy`."""
        self.busy = True
        commit.error = None
        self._jobs.append(commit)
        self._ready.release()

    def ended(self) -> Commit | None:
        """The commit that has ended since, if one has; raises what ended the thread."""
        if self._broken is not None:
            raise self._broken
        if not self._ended:
            return None
        os.read(self.wake, 1)
        self.busy = False
        return self._ended.popleft()

    def do(self, chore: Chore) -> None:
        """Have a chore done when no commit waits; only when not `has_chore`."""
        self.has_chore = True
        self._chores.append(chore)
        self._ready.release()

    def done(self) -> Chore | None:
        """The chore that has ended since, if one has; raises as `ended` does."""
        if self._broken is not None:
            raise self._broken
        if not self._done:
            return None
        os.read(self.wake, 1)
        self.has_chore = False
        return self._done.popleft()

    def close(self) -> None:
        """End the thread after the running commit."""
        self._jobs.append(None)
        self._ready.release()
        self._thread.join()
        os.close(self.wake)
        os.close(self._bell)

    def _run(self) -> None:
        while True:
            if not self._ready.acquire(timeout=self._patience()):
                self._sync()
                continue
            job = self._jobs.popleft() if self._jobs else self._chores.popleft()
            if job is None:
                return
            try:
                self._carry_out(job)
            except Exception as error:  # noqa: BLE001 - a process that can't commit ends
                self._broken = error
                os.write(self._bell, b"x")
                return
            # First the bell: who asks takes its byte as soon as the job is there.
            os.write(self._bell, b"x")
            if isinstance(job, Commit):
                self._ended.append(job)
            else:
                self._done.append(job)
            if job.error is None:
                self._checkpoint(at_once=self.is_short and isinstance(job, Chore))
                if clock.monotonic() >= self._sync_at:
                    self._sync()

    def _carry_out(self, job: Commit | Chore) -> None:
        try:
            if isinstance(job, Commit):
                self._commit(job)
            else:
                job.result = job.work(self._writer)
        except DamageError:
            raise
        except StoreError as error:
            job.error = str(error)

    def _commit(self, commit: Commit) -> None:
        if commit.sealed is None:
            commit.sealed = list(map(seal_block, commit.cut.blocks))
        cut = commit.cut
        commit.first_block = self._writer.last_block + 1
        self._writer.commit(
            commit.sealed, cut.marks, cut.letters, cut.forgotten, clock.now_ns()
        )

    def _patience(self) -> float | None:
        """Seconds until what was committed must be synced; None: it is."""
        if not self._writer.needs_sync:
            return None
        return max(0.0, self._sync_at - clock.monotonic())

    def _sync(self) -> None:
        """With durability "process": a power cut costs about a second."""
        self._sync_at = clock.monotonic() + SYNC_SECONDS
        if self._writer.needs_sync:
            # Refused: the next commit tells, and nobody was promised this one.
            with suppress(StoreError):
                self._writer.sync()

    def _checkpoint(self, *, at_once: bool) -> None:
        try:
            self._writer.checkpoint(at_once=at_once)
        except StoreError:
            # The WAL keeps growing; the next commit tells producers when it can't.
            return
