"""The analyzer's control socket: status and reload, for those who own the database.

The protocol is the ingester's (pipeline/ingester/CONTROL.md); a reload is answered when
it is done, or with the reason why the old configuration stays.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import msgpack

from pipeline import transport
from pipeline.control import VERSION
from pipeline.errors import PipelineError

REQUESTS_A_TURN: Final = 16


class Control:
    """Answers requests; `reload` raises PipelineError when it changes nothing."""

    def __init__(
        self,
        endpoint: str,
        status: Callable[[], dict[str, Any]],
        reload: Callable[[], dict[str, Any]],
    ) -> None:
        self.socket = transport.router(endpoint)
        self._methods = {"status": status, "ping": dict[str, Any], "reload": reload}

    def serve(self) -> None:
        """Take the requests that have come."""
        for _ in range(REQUESTS_A_TURN):
            frames = transport.receive(self.socket)
            if frames is None:
                return
            reply = {"version": VERSION, "id": 0, "pid": os.getpid()}
            reply |= self._answer(frames)
            # a client that does not read its reply has gone
            transport.send(self.socket, [frames[0], msgpack.packb(reply)])

    def close(self) -> None:
        """Close the socket; a reply of a moment ago still goes out."""
        self.socket.close(200)

    def _answer(self, frames: list[bytes]) -> dict[str, Any]:
        try:
            request = msgpack.unpackb(frames[-1])
        except ValueError:
            request = None
        if len(frames) != 2 or not isinstance(request, dict):
            return {"error": "a request is one frame, a map in msgpack", "field": ""}
        number, version = request.get("id"), request.get("version")
        if type(number) is not int or not 0 <= number < 1 << 63:
            problem = f"{number!r} is no id; must be a number from 0"
            return {"error": problem, "field": "id"}
        if version != VERSION:
            problem = f"{version!r} is not known; must be {VERSION}"
            return {"id": number, "error": problem, "field": "version"}
        method = self._methods.get(str(request.get("method")))
        if method is None:
            known = ", ".join(self._methods)
            problem = f"{request.get('method')!r} is no method; must be one of {known}"
            return {"id": number, "error": problem, "field": "method"}
        try:
            return {"id": number, "result": method()}
        except PipelineError as error:
            return {"id": number, "error": str(error), "field": None}
