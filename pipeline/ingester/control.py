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

from pipeline import audit, clock, transport
from pipeline.batch.pack import pack
from pipeline.control import VERSION
from pipeline.errors import PipelineError
from pipeline.ingester.compaction.host import Compaction
from pipeline.ingester.compaction.purging import PIN_SECONDS_MAX, PinError

_REQUESTS_A_TURN: Final = 16
PIN_NAME: Final = 64
NOTE_BYTES: Final = 16 << 10
_LEVELS: Final = range(1, 20)


class _WrongError(ValueError):
    """A request that can't be carried out; `field` is what is wrong with it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(problem)
        self.field = field


class Control:
    """Answers requests; `status` is asked for it. `note` stores an entry of the audit,
    which it gives its time, and calls back when it is durable."""

    def __init__(
        self,
        endpoint: str,
        compaction: Compaction,
        status: Callable[[], dict[str, Any]],
        note: Callable[[dict[str, Any], Callable[[], None]], None],
        reload: Callable[[], dict[str, Any]],
    ) -> None:
        """`reload` takes the configuration over; raises PipelineError."""
        self.socket = transport.router(endpoint)
        self._compaction = compaction
        self._status = status
        self._reload = reload
        self._note = note

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
        if method == "audit":
            self._note(_noted(request), partial(reply, {"result": {}}))
            return
        if method == "reload":
            reply(self._reloaded())
            return
        if method in ("pin", "unpin"):
            reply(self._pin(request, last_block))
            return
        if method == "compact":
            order = {"kind": "compact", "level": _level(request)}
        elif method == "drop":
            order = _drop(request)
            reply = partial(self._report, request, reply)
        elif method == "delete":
            order = _deletion(request, last_block)
            reply = partial(self._report, request, reply)
        else:
            known = "delete, drop, compact, pin, unpin, reload, audit, status or ping"
            raise _WrongError("method", f"{method!r} is no method; must be {known}")
        if not self._compaction.ask(order, reply):
            reply({"error": "busy: too many requests wait; ask again later"})

    def _reloaded(self) -> dict[str, Any]:
        try:
            return {"result": self._reload()}
        except PipelineError as error:
            return {"error": str(error)}

    def _pin(self, request: dict[str, Any], last_block: int) -> dict[str, Any]:
        """Keep replaced blocks for who copies them, or no longer."""
        name, seconds, newest = _pin(request)
        purging = self._compaction.purging
        if request["method"] == "unpin":
            return {"result": {"held": purging.unpin(name)}}
        try:
            newest = purging.pin(name, newest, seconds, clock.monotonic())
        except PinError as error:
            return {"error": str(error)}
        return {"result": {"newest": newest, "last_block": last_block}}

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
            self._note(deletion(request, totals), partial(reply, message))
        else:
            reply(message)

    def _reply(self, client: bytes, number: int, message: dict[str, Any]) -> None:
        message = {name: message[name] for name in message if name != "totals"}
        whole = {"version": VERSION, "id": number, "pid": os.getpid(), **message}
        # a client that does not read its reply has gone
        transport.send(self.socket, [client, pack(whole)])


def deletion(request: dict[str, Any], totals: dict[str, int]) -> dict[str, Any]:
    """What is left behind of a deletion, without its time: who, what, how many."""
    by, count = request.get("by") or "unknown", totals["deleted"]
    asked = {k: v for k, v in request["params"].items() if v is not None}
    more = {"filter": asked, **totals}
    return audit.entry("delete", by, f"{by} deleted {count} entries", 0, more)


def _noted(request: dict[str, Any]) -> dict[str, Any]:
    """An entry of the audit, without its time."""
    texts = [request.get(name) for name in ("action", "by", "message")]
    for name, text in zip(("action", "by", "message"), texts, strict=True):
        if not isinstance(text, str) or not 0 < len(text) <= audit.TEXT_CHARACTERS:
            problem = f"must be a text of 1 to {audit.TEXT_CHARACTERS} characters"
            raise _WrongError(name, problem)
    more = request.get("more", {})
    if not isinstance(more, dict) or len(pack(more)) > NOTE_BYTES:
        raise _WrongError("more", f"must be a map of {NOTE_BYTES} bytes at most")
    action, by, message = map(str, texts)
    return audit.entry(action, by, message, 0, more)


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


def _pin(request: dict[str, Any]) -> tuple[str, float, int | None]:
    """Name, seconds and newest block of a pin."""
    name, seconds, newest = (request.get(key) for key in ("name", "seconds", "newest"))
    if not isinstance(name, str) or not 0 < len(name) <= PIN_NAME:
        problem = f"{name!r} is no name; must be 1 to {PIN_NAME} characters"
        raise _WrongError("name", problem)
    if request["method"] == "unpin":
        return name, 0.0, None
    is_number = type(seconds) in (int, float)
    if not is_number or not 0 < float(str(seconds)) <= PIN_SECONDS_MAX:
        problem = f"{seconds!r} is too long or none; must be up to {PIN_SECONDS_MAX:g}"
        raise _WrongError("seconds", problem)
    if newest is not None and type(newest) is not int:
        raise _WrongError("newest", f"{newest!r} is no block's id")
    return name, float(str(seconds)), newest


def _drop(request: dict[str, Any]) -> dict[str, Any]:
    """The blocks of whole commits, which somebody has a copy of."""
    first, last, blocks = (request.get(key) for key in ("first", "last", "blocks"))
    for name, value in (("first", first), ("last", last)):
        if type(value) is not int:
            raise _WrongError(name, f"{value!r} is no commit's number")
    if not isinstance(blocks, list) or not blocks or not all(map(_is_int, blocks)):
        raise _WrongError("blocks", "must be the ids of the blocks of these commits")
    if not isinstance(request.get("by"), str) or not request["by"]:
        raise _WrongError("by", f"{request.get('by')!r} is no name; must say who")
    if not isinstance(request.get("params"), dict):
        raise _WrongError("params", "must say where the entries are now, as a map")
    return {"kind": "drop", "first": first, "last": last, "blocks": blocks}


def _is_int(value: object) -> bool:
    return type(value) is int


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
