"""The control socket: status, compact and delete, for those who own the database.

CONTROL.md is the page of its protocol. Requests that take long are answered when the
compaction worker has done them; meanwhile `ping` tells that somebody is at work.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgpack

from pipeline import transport
from pipeline.batch.pack import pack
from pipeline.control import VERSION
from pipeline.ingester.compaction.host import Compaction

_REQUESTS_A_TURN: Final = 16
_LEVELS: Final = range(1, 20)


class _WrongError(ValueError):
    """A request that can't be carried out; `field` is what is wrong with it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


class Control:
    """Answers requests; `deleted` hears what was deleted, `status` is asked for it."""

    def __init__(
        self,
        endpoint: str,
        compaction: Compaction,
        status: Callable[[], dict[str, Any]],
        deleted: Callable[[dict[str, Any], dict[str, int], Callable[[], None]], None],
    ) -> None:
        self.socket = transport.router(endpoint)
        self._compaction = compaction
        self._status = status
        self._deleted = deleted

    def serve(self, last_block: int) -> None:
        """Take the requests that have come; deletions go up to this commit."""
        for _ in range(_REQUESTS_A_TURN):
            frames = transport.receive(self.socket)
            if frames is None:
                return
            client, number = frames[0], 0
            try:
                request = _parse(frames)
                number = request["id"]
                self._begin(request, partial(self._reply, client, number), last_block)
            except _WrongError as error:
                text = {"error": str(error), "field": error.field}
                self._reply(client, number, text)

    def close(self) -> None:
        """Close the socket; a reply of a moment ago still goes out."""
        self.socket.close(200)

    def _begin(
        self,
        request: dict[str, Any],
        reply: Callable[[dict[str, Any]], None],
        last_block: int,
    ) -> None:
        version, method = request.get("version"), request.get("method")
        if version != VERSION:
            raise _WrongError("version", f"{version!r} is not known; must be {VERSION}")
        if method in ("status", "ping"):
            reply({"result": self._status() if method == "status" else {}})
            return
        if method == "compact":
            order = {"kind": "compact", "level": _level(request)}
        elif method == "delete":
            order = _deletion(request, last_block)
            reply = partial(self._report, request, reply)
        else:
            known = "delete, compact, status or ping"
            raise _WrongError("method", f"{method!r} is no method; must be {known}")
        if not self._compaction.ask(order, reply):
            reply({"error": "busy: too many requests wait; ask again later"})

    def _report(
        self,
        request: dict[str, Any],
        reply: Callable[[dict[str, Any]], None],
        message: dict[str, Any],
    ) -> None:
        """An audit entry also for what a deletion did before it failed; the reply
        comes when that is durable."""
        totals = message.get("totals", {})
        if "result" in message or totals.get("deleted"):
            self._deleted(request, totals, partial(reply, message))
        else:
            reply(message)

    def _reply(self, client: bytes, number: int, message: dict[str, Any]) -> None:
        message = {name: message[name] for name in message if name != "totals"}
        whole = {"version": VERSION, "id": number, "pid": os.getpid(), **message}
        # a client that does not read its reply has gone
        transport.send(self.socket, [client, pack(whole)])


def audit_entry(
    request: dict[str, Any], totals: dict[str, int], now: int
) -> dict[str, Any]:
    """What is left behind of a deletion: who, what, how many; `now` in ns."""
    by, count = request.get("by") or "unknown", totals["deleted"]
    return {
        "timestamp": now,
        "source": "audit",
        "level": "INFO",
        "message": f"{by} deleted {count} entries",
        "metadata": {
            "action": "delete",
            "by": by,
            "filter": {k: v for k, v in request["params"].items() if v is not None},
            **totals,
        },
    }


def _parse(frames: list[bytes]) -> dict[str, Any]:
    try:
        request = msgpack.unpackb(frames[-1])
    except ValueError:
        request = None
    if len(frames) != 2 or not isinstance(request, dict):
        raise _WrongError("", "a request is one frame, a map in msgpack")
    number = request.get("id")
    if type(number) is not int or not 0 <= number < 1 << 63:
        raise _WrongError("id", f"{number!r} is no id; must be a number from 0")
    return request


def _level(request: dict[str, Any]) -> int | None:
    level = request.get("level")
    if level is None or (type(level) is int and level in _LEVELS):
        return level
    raise _WrongError("level", f"{level!r} is no level of zstd; must be 1 to 19")


def _deletion(request: dict[str, Any], last_block: int) -> dict[str, Any]:
    params, now, by = (request.get(name) for name in ("params", "now", "by"))
    if not isinstance(params, dict) or not all(isinstance(key, str) for key in params):
        raise _WrongError("params", "must be the parameters of a filter, as a map")
    if type(now) is not int:
        raise _WrongError("now", f"{now!r} is no time; must be ns since 1970")
    if not isinstance(by, str) or not by:
        raise _WrongError("by", f"{by!r} is no name; must say who deletes")
    up_to = request.get("up_to", last_block)
    if type(up_to) is not int:
        raise _WrongError("up_to", f"{up_to!r} is no commit's number")
    order = {"kind": "delete", "params": params, "now": now}
    return order | {"up_to": min(up_to, last_block)}
