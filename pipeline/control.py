"""The ingester's control socket as its clients see it: CONTROL.md beside the ingester.

One request, one reply; each client has a socket of its own for each request, so that
none waits for another's.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgpack

from pipeline import clock, transport
from pipeline.errors import PipelineError

VERSION: Final = 1
"""Of the protocol; a request carries it."""

PATH_BYTES: Final = 100
"""A socket's path may have 107."""

STATUS_SECONDS: Final = 5.0
WORK_SECONDS: Final = 3600.0
"""How long a client waits for a status, and for what may rewrite the whole store."""

_numbers = count(1)


class ControlError(PipelineError):
    """The ingester did not answer, or refused; `field` is the wrong parameter's."""

    def __init__(
        self, problem: str, field: str | None = None, *, is_absent: bool = False
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field
        self.is_absent = is_absent
        """Whether nobody answered at all."""


def endpoint_of(endpoint: str, database: str) -> str:
    """`control.endpoint`, or where it is by default: a file beside the database."""
    if endpoint:
        return endpoint
    path = Path(f"{database}.control").absolute()
    if len(os.fsencode(path)) <= PATH_BYTES:
        return f"ipc://{path}"
    digest = sha256(os.fsencode(path)).hexdigest()[:16]
    return f"ipc://{tempfile.gettempdir()}/pipeline-{os.getuid()}-{digest}.control"


def analyzer_endpoint_of(database: str) -> str:
    """Where the analyzer answers, which works on the same machine as its store."""
    return endpoint_of("", f"{database}.analyzer")


class Client:
    """Asks one ingester or analyzer; raises ControlError. Any thread may use it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def status(self, seconds: float = STATUS_SECONDS) -> dict[str, Any]:
        """How the ingester and its compaction are."""
        return self.ask("status", {}, seconds)

    def compact(
        self, level: int | None = None, seconds: float = WORK_SECONDS
    ) -> dict[str, Any]:
        """Compact until nothing is left to do."""
        return self.ask("compact", {} if level is None else {"level": level}, seconds)

    def delete(
        self, params: dict[str, Any], now: int, by: str, seconds: float = WORK_SECONDS
    ) -> dict[str, Any]:
        """Delete what matches: `params` of a filter as the method `query` has them,
        `now` in ns, and `by` whom, for the audit entry."""
        return self.ask("delete", {"params": params, "now": now, "by": by}, seconds)

    async def ask_async(
        self, method: str, params: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        """As `ask`, for an event loop."""
        import asyncio  # the ingester has no use for it

        return await asyncio.to_thread(self.ask, method, params, seconds)

    def ask(
        self, method: str, params: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        """One request; its reply within so many seconds."""
        number = next(_numbers)
        request = {"version": VERSION, "id": number, "method": method, **params}
        socket = transport.dealer(self.endpoint)
        try:
            transport.send(socket, [msgpack.packb(request)])
            reply = self._await(socket, number, clock.monotonic() + seconds)
        finally:
            socket.close(0)
        if reply is None:
            text = f"no answer from {self.endpoint} within {seconds:g} s"
            raise ControlError(f"{text}; does the ingester run?", is_absent=True)
        if "error" in reply:
            raise ControlError(str(reply["error"]), reply.get("field"))
        result: dict[str, Any] = reply["result"]
        return result

    def _await(
        self, socket: transport.Socket, number: int, end: float
    ) -> dict[str, Any] | None:
        poller = transport.Poller()
        poller.watch(socket)
        while (left := end - clock.monotonic()) > 0:
            poller.wait(left)
            frames = transport.receive(socket)
            if frames is None:
                continue
            reply: dict[str, Any] = msgpack.unpackb(frames[-1])
            if reply.get("id") == number:
                return reply
        return None
