"""The worker's process seen from the ingester: started, fed, read, ended."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pipeline import service
from pipeline.ingester.compaction.frames import FrameBuffer, pack_frame
from pipeline.ingester.compaction.said import check
from pipeline.settings import Settings

END_SECONDS: Final = 2.0
_READ_BYTES: Final = 1 << 20


def environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """This process's settings, for its worker."""
    made = {
        name: value
        for name, value in environ.items()
        if name not in (service.READY_FD, service.SUPERVISOR_PID)
    }
    own = settings.compaction
    made["PIPELINE_STORAGE__DB_PATH"] = str(Path(settings.storage.db_path).absolute())
    made["PIPELINE_COMPACTION__LEVEL"] = str(own.level)
    made["PIPELINE_COMPACTION__IDLE_LEVEL"] = str(own.idle_level)
    made["PIPELINE_COMPACTION__NICE"] = str(own.nice)
    # One arena: threads of the worker wait, and each other arena keeps what it had.
    made.setdefault("MALLOC_ARENA_MAX", "1")
    return made


class WorkerProcess:
    """A running worker; nothing here waits for it but `end`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Raises OSError when it can't be started."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "compaction-worker"],
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self.pid = self._child.pid
        self.received = 0
        """Bytes that it has said."""

        self._input, self._output = self._child.stdin, self._child.stdout
        os.set_blocking(self._input.fileno(), False)
        os.set_blocking(self._output.fileno(), False)
        self._unsent = bytearray()
        self._frames = FrameBuffer()

    def fileno(self) -> int:
        """To be polled for reading."""
        return self._output.fileno()

    @property
    def is_behind(self) -> bool:
        """Whether it has not taken yet what was sent before."""
        return bool(self._unsent)

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message and send what the pipe takes."""
        self._unsent += pack_frame(message)
        self.flush()

    def flush(self) -> None:
        """Send what the pipe takes now; a dead worker is noticed by `receive`."""
        with suppress(BlockingIOError, BrokenPipeError):
            while self._unsent:
                del self._unsent[: os.write(self._input.fileno(), self._unsent)]

    def receive(self) -> list[dict[str, Any]] | None:
        """What it has said; None when it has ended. Raises ValueError for rubbish."""
        try:
            data = os.read(self.fileno(), _READ_BYTES)
        except BlockingIOError:
            return []
        self.received += len(data)
        return list(map(check, self._frames.feed(data))) if data else None

    def kill(self) -> None:
        """Whatever it does, and however deaf it is; `end` waits no longer then."""
        self._child.kill()

    def end(self) -> int:
        """End it, whatever it does; its exit code."""
        with suppress(BrokenPipeError):
            self._input.close()
        # its output ends with it; `wait` with a time-out sleeps in steps that it works
        # out from the clock, and failed where that was set meanwhile
        waiting = select.poll()  # select knows no descriptor beyond 1,023
        waiting.register(self._output, select.POLLIN)
        while waiting.poll(END_SECONDS * 1000):
            if not os.read(self.fileno(), _READ_BYTES):
                break
        else:
            self._child.kill()
        self._child.wait()
        self._output.close()
        return self._child.returncode
