"""One process under the supervisor: start, output, readiness, end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections import deque
from collections.abc import Mapping
from typing import Final

from pipeline import service
from pipeline.cli.backoff import Backoff
from pipeline.cli.procfile import Program
from pipeline.errors import ConfigError

READ_BYTES: Final = 1 << 16
LAST_WORDS: Final = 5
"""Lines kept of a process, for the message that gives it up."""

WORDS_CHARACTERS: Final = 1000
"""Of each of them, for the next process: it has them in its environment."""

CHILD_ENVIRONMENT: Final = {
    "PYTHONUNBUFFERED": "1",  # its lines pass through a pipe
    "MALLOC_ARENA_MAX": "2",  # glibc's arenas per thread are memory that stays
}


class Child:
    """A program and, while it runs, its process; `due` is when to start it."""

    def __init__(self, program: Program, flags: list[str]) -> None:
        self.program = program
        self.backoff = Backoff()
        self.last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self.due = 0.0
        self.started = 0.0
        self.ending = ""
        """How it ended, for the one that follows; empty before its first end."""

        self.ready = False
        self.output_fd = self.ready_fd = -1
        self._command = program.command(flags)
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    @property
    def name(self) -> str:
        """Its name in the Procfile."""
        return self.program.name

    @property
    def running(self) -> bool:
        """Whether it was started and its end has not been seen."""
        return self._process is not None

    def start(self, environ: Mapping[str, str], now: float) -> None:
        """Start it in a session of its own: a terminal's Ctrl-C is only for `up`."""
        self.ready_fd, ready_writer = os.pipe()
        supervised = {
            service.READY_FD: str(ready_writer),
            service.SUPERVISOR_PID: str(os.getpid()),
        }
        if self.ending:
            words = [line[:WORDS_CHARACTERS] for line in self.last_words]
            told = {"name": self.name, "how": self.ending, "last_words": words}
            supervised[service.PREDECESSOR] = json.dumps(told)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - what the Procfile says
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                env={**CHILD_ENVIRONMENT, **environ, **supervised},
                pass_fds=(ready_writer,),
                start_new_session=True,
            )
        except OSError as error:
            os.close(self.ready_fd)
            expected = "a program that can be run"
            raise ConfigError(f"Procfile, {self.name}", str(error), expected) from None
        finally:
            os.close(ready_writer)
        assert self._process.stdout is not None
        self.output_fd = self._process.stdout.fileno()
        os.set_blocking(self.output_fd, False)
        self.started = now
        self._serves(not self.program.own)

    def _serves(self, ready: bool) -> None:
        self.ready = ready
        self.backoff.served |= ready

    def read_ready(self) -> None:
        """Take what came on the pipe of readiness, and close it."""
        self._serves(os.read(self.ready_fd, 64).startswith(service.READY) or self.ready)
        os.close(self.ready_fd)
        self.ready_fd = -1

    def read_lines(self) -> tuple[list[str], bool]:
        """The complete lines, and whether more may come; long ones in parts."""
        waiting = self._rest
        try:
            while len(waiting) < READ_BYTES:
                piece = os.read(self.output_fd, READ_BYTES)
                if not piece:
                    last = b"" if waiting.endswith(b"\n") or not waiting else b"\n"
                    return self._take(waiting + last), False
                waiting += piece
        except BlockingIOError:
            return self._take(waiting), True
        return self._take(waiting if b"\n" in waiting else waiting + b"\n"), True

    def _take(self, waiting: bytes) -> list[str]:
        *whole, self._rest = waiting.split(b"\n")
        lines = [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
        self.last_words.extend(line for line in lines if line.strip())
        return lines

    def poll(self) -> int | None:
        """Its exit code (negative: the signal) once it has ended."""
        return None if self._process is None else self._process.poll()

    def ended(self) -> None:
        """Forget the process that ended, its pipes too."""
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        if self.ready_fd >= 0:
            os.close(self.ready_fd)
        self.output_fd = self.ready_fd = -1
        self._process = None
        self._rest = b""
        self.ready = False

    def hang_up(self) -> None:
        """Send SIGHUP to one of the pipeline's own that serves: others may end."""
        if self._process is not None and self.program.own and self.ready:
            self._process.send_signal(signal.SIGHUP)

    def terminate(self) -> None:
        """Ask it to stop."""
        if self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        """End it and whatever it started, at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
