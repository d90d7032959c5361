"""Questions to the store, asked off the main loop of a query worker of its own.

A thread has the worker and asks it one question at a time; answers come back through
`answers`, whose descriptor the loop polls. The worker starts with the first question
and ends when there was none for a while: it takes as much memory as the analyzer.
`pipeline/query/worker.py` tells the protocol.
"""

from __future__ import annotations

import os
import queue
import select
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from pipeline import clock, pipes, service
from pipeline.errors import PipelineError

QUESTIONS_MAX: Final = 64
"""That wait: each is small, but an hour of them would all be too late."""

IDLE_SECONDS: Final = 30.0
REPLY_BYTES: Final = 64 << 20
GRACE_SECONDS: Final = 2.0
"""A worker ends a question itself when its time is over; after this it hangs."""


class UnansweredError(PipelineError):
    """The store could not be asked, or had no answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and who takes the answer: JSON text, or None with the reason."""

    method: str
    params: Mapping[str, Any]
    seconds: float
    take: Callable[[bytes | None, str], None]


class _Reply(msgspec.Struct):
    id: int
    result: bytes | None = None
    error: dict[str, Any] | None = None


class Worker:
    """One query worker process, started when it is asked first; for one thread."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command, self._environ = list(command), dict(environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self.started = 0

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        return None if self._process is None else self._process.pid

    def ask(self, method: str, params: Mapping[str, Any], seconds: float) -> bytes:
        """The answer as JSON text; raises UnansweredError."""
        self._number += 1
        call = {"id": self._number, "method": method, "params": params}
        call |= {"now": clock.now_ns(), "timeout": seconds}
        try:
            process = self._running()
            assert process.stdin is not None
            process.stdin.write(pipes.pack_frame(msgspec.msgpack.encode(call)))
            process.stdin.flush()
            body = self._read(process, clock.monotonic() + seconds + GRACE_SECONDS)
            reply = msgspec.msgpack.decode(body, type=_Reply)
        except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
            self.end()
            raise UnansweredError(f"the query worker is lost: {error}") from None
        if reply.result is None:
            raise UnansweredError(str((reply.error or {}).get("message", "no result")))
        return reply.result

    def end(self) -> None:
        """End the process, if there is one; what it was asked is lost."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self.started += 1
            self._process = subprocess.Popen(  # noqa: S603 - our own
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environ,
                # Ctrl-C in a terminal goes to the whole group
                start_new_session=True,
            )
        return self._process

    def _read(self, process: subprocess.Popen[bytes], end: float) -> bytes:
        assert process.stdout is not None
        pipe = process.stdout.fileno()
        (size,) = pipes.LENGTH.unpack(_exactly(pipe, pipes.LENGTH.size, end))
        if size > REPLY_BYTES:
            raise ValueError(f"a reply of {size} bytes; mustn't exceed {REPLY_BYTES}")
        return _exactly(pipe, size, end)


def _exactly(pipe: int, size: int, end: float) -> bytes:
    """So many bytes, before the clock shows `end`; raises OSError."""
    data = bytearray()
    while len(data) < size:
        left = end - clock.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise TimeoutError("no answer in time")
        part = os.read(pipe, min(size - len(data), 1 << 20))
        if not part:
            raise EOFError("it has ended")
        data += part
    return bytes(data)


class Questions:
    """The queue of questions and the thread that asks them."""

    def __init__(self, worker: Worker, idle_seconds: float = IDLE_SECONDS) -> None:
        self.counters: Counter[str] = Counter()
        self._worker = worker
        self._idle = idle_seconds
        self._waiting: queue.Queue[Question | None] = queue.Queue(QUESTIONS_MAX)
        self._answers: queue.SimpleQueue[tuple[Question, bytes | None, str]]
        self._answers = queue.SimpleQueue()
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._ring, False)
        self._thread = threading.Thread(target=self._run, name="questions", daemon=True)
        self._thread.start()

    def ask(
        self,
        method: str,
        params: Mapping[str, Any],
        take: Callable[[bytes | None, str], None],
        seconds: float = 10.0,
    ) -> bool:
        """Have it asked; `take` gets the answer in `deliver`. False: too many wait."""
        try:
            self._waiting.put_nowait(Question(method, params, seconds, take))
        except queue.Full:
            self.counters["refused"] += 1
            return False
        self.counters["asked"] += 1
        return True

    def fileno(self) -> int:
        """Readable when there are answers."""
        return self._bell

    def deliver(self) -> None:
        """Give the answers that have come to those who asked."""
        with suppress(BlockingIOError):
            os.read(self._bell, 4096)
        while True:
            try:
                question, result, problem = self._answers.get_nowait()
            except queue.Empty:
                return
            self.counters["failed" if result is None else "answered"] += 1
            question.take(result, problem)

    def close(self) -> None:
        """End the thread and the worker; questions that wait get no answer."""
        with suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
        self._waiting.put(None)
        # a question that is being answered would hold up the end of the process
        self._thread.join(GRACE_SECONDS)
        self._worker.end()
        if self._thread.is_alive():
            return
        os.close(self._bell)
        os.close(self._ring)

    def _run(self) -> None:
        while True:
            try:
                idle = self._idle if self._worker.pid is not None else None
                question = self._waiting.get(timeout=idle)
            except queue.Empty:
                self._worker.end()
                continue
            if question is None:
                return
            try:
                found = self._worker.ask(
                    question.method, question.params, question.seconds
                )
                self._answers.put((question, found, ""))
            except UnansweredError as error:
                self._answers.put((question, None, str(error)))
            with suppress(BlockingIOError, OSError):
                os.write(self._ring, b"\0")


def worker_of(db_path: str) -> Worker:
    """A worker over this database, which inherits the settings of this process."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in (service.READY_FD, service.SUPERVISOR_PID)
    }
    environ["PIPELINE_STORAGE__DB_PATH"] = os.path.abspath(db_path)
    environ["PIPELINE_STORAGE__ATTACH"] = "[]"  # what is archived has been judged
    return Worker([sys.executable, "-m", "pipeline", "query-worker"], environ)
