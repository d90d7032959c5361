"""The ingester's control socket as its clients see it: CONTROL.md beside the ingester.

One request, one reply; each client has a socket of its own for each request, so that
none waits for another's.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
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

    def drop(
        self,
        blocks: Sequence[int],
        commits: tuple[int, int],
        by: str,
        params: dict[str, Any],
        seconds: float = WORK_SECONDS,
    ) -> dict[str, Any]:
        """Drop whole blocks, which are all of these commits; `by` whom, and `params`
        where the entries are now, for the audit entry."""
        request: dict[str, Any] = {"first": commits[0], "last": commits[1]}
        request |= {"blocks": list(blocks), "by": by, "params": params}
        return self.ask("drop", request, seconds)

    def pin(
        self,
        name: str,
        pin_seconds: float,
        newest: int | None = None,
        seconds: float = STATUS_SECONDS,
    ) -> int:
        """Have blocks stay that are replaced from now on, or by blocks above `newest`;
        until `unpin`, or so long after the last time. The id they are above."""
        request: dict[str, Any] = {"name": name, "seconds": pin_seconds}
        if newest is not None:
            request["newest"] = newest
        return int(self.ask("pin", request, seconds)["newest"])

    def unpin(self, name: str, seconds: float = STATUS_SECONDS) -> None:
        """Give the pin back."""
        self.ask("unpin", {"name": name}, seconds)

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
        link = transport.Link(self.endpoint)
        try:
            transport.send(link.socket, [msgpack.packb(request)])
            reply = self._await(link, number, seconds)
        finally:
            link.close()
        if "error" in reply:
            raise ControlError(str(reply["error"]), reply.get("field"))
        result: dict[str, Any] = reply["result"]
        return result

    def _await(
        self, link: transport.Link, number: int, seconds: float
    ) -> dict[str, Any]:
        """The reply; without anybody there it is not waited for as long."""
        started = clock.monotonic()
        while True:
            passed = clock.monotonic() - started
            most = seconds if link.is_made else min(seconds, STATUS_SECONDS)
            if passed >= most:
                text = f"no answer from {self.endpoint} within {most:g} s"
                raise ControlError(f"{text}; does the ingester run?", is_absent=True)
            link.wait(most - passed)
            while (frames := transport.receive(link.socket)) is not None:
                reply: dict[str, Any] = msgpack.unpackb(frames[-1])
                if reply.get("id") == number:
                    return reply
            if link.is_lost:
                text = f"{self.endpoint} went away before it answered"
                raise ControlError(f"{text}; a part of it may be done: ask again")
