"""One query worker process seen from the gateway: frames to it, frames from it.

A frame is a u32 (little-endian) length and a msgpack map; `pipeline/query/worker.py`
is the other end.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from pipeline.pipes import LENGTH, pack_frame
from pipeline.scope import Scope

REPLY_BYTES: Final = 256 << 20
"""A reply: 10,000 entries of 25 KiB; a worker that sends more is ended."""

READ_AHEAD_BYTES: Final = 1 << 20
"""What asyncio reads before somebody waits for it: big replies come in few steps."""

START_SECONDS: Final = 30.0
"""A worker that was started has at least this long for its first answer: it loads what
answering needs, which has nothing to do with how long a question may take."""

END_SECONDS: Final = 2.0
"""A worker that is told to end gets this long."""


class Question(Struct):
    """What a worker is asked: `now` in nanoseconds, `timeout` in seconds.

    `params` are packed already: what can't be is refused before a worker is taken.
    """

    id: int
    method: str
    params: Raw
    now: int
    timeout: float
    scope: Scope | None = None


class Problem(Struct):
    """A worker's answer when it has none."""

    code: int
    message: str
    data: dict[str, Any] | None = None


class Answer(Struct):
    """A worker's reply: JSON text or a problem, or a sign of life."""

    id: int = 0
    result: bytes | None = None
    error: Problem | None = None
    pong: int | None = None


class WorkerProcess:
    """A running worker; `answers` are read by one task only."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._in = process.stdin
        self._out = process.stdout
        self._decoder = msgspec.msgpack.Decoder(Answer)

    @classmethod
    async def start(
        cls, command: Sequence[str], environ: Mapping[str, str]
    ) -> WorkerProcess:
        """Start a worker; raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            env=dict(environ),
            limit=READ_AHEAD_BYTES,
            # Ctrl-C in a terminal goes to the whole group; ours end when we say so
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, question: Question) -> None:
        """Send a question; questions are small, so this doesn't wait."""
        self._send(msgspec.msgpack.encode(question))

    def cancel(self, identity: int) -> None:
        """Tell the worker that nobody waits for this answer."""
        self._send(msgspec.msgpack.encode({"cancel": identity}))

    def ping(self, number: int) -> None:
        """Ask whether it runs; it answers also while it works on a question."""
        self._send(msgspec.msgpack.encode({"ping": number}))

    async def answer(self) -> Answer | None:
        """The next answer; None when the worker has ended or talks nonsense."""
        try:
            head = await self._out.readexactly(LENGTH.size)
            (size,) = LENGTH.unpack(head)
            if size > REPLY_BYTES:
                return None
            return self._decoder.decode(await self._out.readexactly(size))
        except (asyncio.IncompleteReadError, OSError, msgspec.DecodeError):
            return None

    def retire(self) -> None:
        """Tell it that nothing more will be asked; it ends by itself."""
        self._in.close()

    def kill(self) -> None:
        """End it now."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self, seconds: float = END_SECONDS) -> str:
        """Close its input, wait, kill if need be; how it ended, in words."""
        self._in.close()
        try:
            # it may still be writing an answer, which would keep it from ending
            async with asyncio.timeout(seconds):
                while await self._out.read(READ_AHEAD_BYTES):
                    pass
                code = await self._process.wait()
        except TimeoutError:
            self.kill()
            code = await self._process.wait()
        return f"signal {-code}" if code < 0 else f"status {code}"

    def _send(self, message: bytes) -> None:
        if not self._in.is_closing():
            self._in.write(pack_frame(message))
