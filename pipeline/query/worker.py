"""The process that answers questions: frames on standard input, frames on output.

A frame is its length, u32 little-endian, and a msgpack map. In comes a call
{"id", "method", "params", "now" (ns), "timeout" (s), "scope" (None: all)},
{"cancel": id} or {"ping": n};
out goes {"id", "result": JSON}, {"id", "error": {"code", "message", "data"}} or
{"pong": n}. Calls are answered one after another; a thread takes cancels and pings
meanwhile. The end of input ends the process. numpy is loaded in `run`, after the
environment is set for it.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from pipeline import memory, pipes
from pipeline.clock import monotonic
from pipeline.errors import PipelineError, QueryError, StoreError
from pipeline.limits import FRAME_BYTES
from pipeline.query.budget import Budget, CancelledError, CostError
from pipeline.query.codes import (
    CANCELLED,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    TIME_LIMIT,
)
from pipeline.query.requests import FieldError
from pipeline.scope import Scope

if TYPE_CHECKING:
    from pipeline.query.answer import Engine
    from pipeline.query.methods.method import Method
    from pipeline.settings import Settings

REST_SECONDS: Final = 1.0
"""Without a call for so long, a worker gives back what it kept for the next one: doing
so after each reply made the next question of somebody who reads pages start cold."""


class Call(msgspec.Struct):
    """One frame from the gateway; with `cancel` it is about an earlier call, with
    `ping` it only wants to know whether the process runs."""

    id: int = 0
    method: str = ""
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    now: int = 0
    timeout: float | None = None
    cancel: int | None = None
    ping: int | None = None
    scope: Scope | None = None
    """What of the store there is for the question; None: all."""


class Failure(msgspec.Struct):
    """An error as JSON-RPC has it."""

    code: int
    message: str
    data: dict[str, Any]


def run(settings: Settings, methods: Callable[[], Mapping[str, Method]]) -> int:
    """Answer with these methods until standard input ends; the exit code."""
    # Ctrl-C reaches the whole group; the gateway ends its workers itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    memory.return_tables()
    from pipeline.query.answer import Engine, Limits

    limits = Limits(
        settings.query.max_rows,
        settings.query.max_rows_scanned,
        settings.query.timeout_seconds,
        settings.query.max_bytes_scanned,
        settings.query.max_groups,
    )
    path = Path(settings.storage.db_path)
    attached = [Path(each) for each in settings.storage.attach]
    engine = Engine(path, limits, monotonic, methods(), attached, needs_all=False)
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # a stray print must not end up between two frames
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return serve(engine, sys.stdin.buffer, replies)


def serve(engine: Engine, calls: BinaryIO, replies: BinaryIO) -> int:
    """Answer the calls until they end, or until nobody reads the replies."""
    outbox = Outbox(replies)
    inbox = Inbox(calls, outbox)
    Thread(target=inbox.read, name="calls", daemon=True).start()
    patience: float | None = REST_SECONDS
    while True:
        try:
            call = inbox.next(patience)
        except Empty:
            engine.rest()
            memory.release()
            patience = None
            continue
        if call is None:
            return inbox.exit_code
        patience = REST_SECONDS
        try:
            reply = answer(engine, call, inbox.is_cancelled)
            inbox.done(call)
            outbox.put({"id": call.id} | reply)
        except BrokenPipeError:
            return inbox.exit_code


class Outbox:
    """Frames to the gateway, from two threads."""

    def __init__(self, replies: BinaryIO) -> None:
        self._replies = replies
        self._lock = Lock()

    def put(self, frame: Mapping[str, Any]) -> None:
        """Write it whole; raises BrokenPipeError when nobody reads any more."""
        body = msgspec.msgpack.encode(frame)
        with self._lock:
            self._replies.write(pipes.LENGTH.pack(len(body)))
            self._replies.write(body)
            self._replies.flush()


class Inbox:
    """Calls that wait, and those among them that were cancelled."""

    def __init__(self, calls: BinaryIO, outbox: Outbox) -> None:
        self.exit_code = 0
        self._calls = calls
        self._outbox = outbox
        self._waiting: SimpleQueue[Call | None] = SimpleQueue()
        self._lock = Lock()
        self._open: set[int] = set()
        self._cancelled: set[int] = set()

    def read(self) -> None:
        """Take frames until the end of input: the work of the thread."""
        decode = msgspec.msgpack.Decoder(Call).decode
        try:
            while (frame := pipes.read_frame(self._calls, FRAME_BYTES)) is not None:
                self._take(decode(frame))
        except (ValueError, msgspec.MsgspecError):
            # the other side is our own gateway: nothing after this can be trusted
            traceback.print_exc()
            self.exit_code = 1
        finally:
            with self._lock:
                self._cancelled |= self._open
            self._waiting.put(None)

    def _take(self, call: Call) -> None:
        if call.ping is not None:
            with suppress(OSError):  # the end of input follows
                self._outbox.put({"pong": call.ping})
            return
        with self._lock:
            if call.cancel is None:
                self._open.add(call.id)
                self._waiting.put(call)
            elif call.cancel in self._open:
                self._cancelled.add(call.cancel)

    def next(self, seconds: float | None = None) -> Call | None:
        """Wait for the next call; None after the last. Raises Empty after the time."""
        return self._waiting.get(timeout=seconds)

    def done(self, call: Call) -> None:
        """Forget an answered call."""
        with self._lock:
            self._open.discard(call.id)
            self._cancelled.discard(call.id)

    def is_cancelled(self, call_id: int) -> bool:
        """Whether nobody waits for this call any more."""
        return call_id in self._cancelled


def answer(
    engine: Engine, call: Call, is_cancelled: Callable[[int], bool]
) -> dict[str, Any]:
    """The call's `result` or `error`."""
    budget = engine.budget(call.timeout, lambda: is_cancelled(call.id))
    if not engine.has(call.method):
        failure = Failure(METHOD_NOT_FOUND, f"no method {call.method!r}", {})
        return {"error": failure}
    try:
        budget.check()
        asked = call.method, call.params, call.now, budget, call.scope
        return {"result": engine.answer(*asked)}
    except PipelineError as error:
        return {"error": describe(error, budget)}
    except Exception as error:  # noqa: BLE001 - one question must not end the process
        traceback.print_exc()
        problem = f"{type(error).__name__}: {error}"
        return {
            "error": Failure(INTERNAL_ERROR, "internal error", {"problem": problem})
        }


def describe(error: PipelineError, budget: Budget) -> Failure:
    """A foreseen error as the caller sees it."""
    if isinstance(error, CancelledError):
        return Failure(CANCELLED, error.problem, dict(budget.progress()))
    if isinstance(error, CostError):
        data = {"problem": error.problem, "hint": error.hint, **budget.progress()}
        return Failure(TIME_LIMIT, error.problem, data)
    if isinstance(error, QueryError):
        named = error if isinstance(error, FieldError) else None
        data = {
            "field": named.field if named else None,
            "problem": error.problem,
            "position": error.position,
            "hint": error.hint,
            "caret": named.caret if named else None,
        }
        return Failure(INVALID_PARAMS, _message(data), data)
    message = "the store can't be read" if isinstance(error, StoreError) else "error"
    return Failure(INTERNAL_ERROR, message, {"problem": str(error)})


def _message(data: dict[str, Any]) -> str:
    field, problem = data["field"], data["problem"]
    return problem if field is None else f"{field}: {problem}"
