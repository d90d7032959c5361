"""Errors that a caller gets: JSON-RPC's own codes and the gateway's, in one list."""

from __future__ import annotations

from typing import Any, Final

from pipeline.errors import EntryError, PipelineError
from pipeline.query import codes

METHOD_NOT_FOUND: Final = codes.METHOD_NOT_FOUND
INVALID_PARAMS: Final = codes.INVALID_PARAMS
INTERNAL_ERROR: Final = codes.INTERNAL_ERROR
TIME_LIMIT: Final = codes.TIME_LIMIT
CANCELLED: Final = codes.CANCELLED
"""What a worker answers is passed on with its code."""

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
BUSY: Final = -32003
WORKER_LOST: Final = -32005
OUT_OF_ORDER: Final = -32010
NOT_DONE: Final = -32011
FORBIDDEN: Final = -32012

MESSAGES: Final = {
    PARSE_ERROR: "Parse error",
    INVALID_REQUEST: "Invalid Request",
    METHOD_NOT_FOUND: "Method not found",
    INVALID_PARAMS: "Invalid params",
    INTERNAL_ERROR: "Internal error",
    TIME_LIMIT: "query took too long",
    BUSY: "busy, retry after",
    CANCELLED: "cancelled",
    WORKER_LOST: "the query's worker process ended; retry",
    OUT_OF_ORDER: "out of order",
    NOT_DONE: "it was not done",
    FORBIDDEN: "not allowed",
}
"""The first five as JSON-RPC 2.0 words them."""


class RpcError(PipelineError):
    """The reply to a call that failed; `data` is a map that JSON can carry."""

    def __init__(
        self, code: int, data: dict[str, Any] | None = None, message: str | None = None
    ) -> None:
        self.code = code
        self.message = message or MESSAGES.get(code, "error")
        self.data = data
        super().__init__(code, self.message, data)

    def __str__(self) -> str:
        return f"{self.code} {self.message}: {self.data}"


def refused(code: int, problem: str, expected: str, **more: Any) -> RpcError:
    """An error that says what is wrong and what would be right."""
    return RpcError(code, {"problem": problem, "expected": expected, **more})


def wrong_param(field: str, problem: str, expected: str, **more: Any) -> RpcError:
    """-32602: the value of one parameter can't be used."""
    data = {"field": field, "problem": problem, "expected": expected, **more}
    return RpcError(INVALID_PARAMS, data)


def wrong_entry(error: EntryError, **more: Any) -> RpcError:
    """-32602: an entry's field can't be stored."""
    return wrong_param(error.field, error.problem, error.expected, **more)


def busy(problem: str, retry_after_ms: int, **more: Any) -> RpcError:
    """-32003: nothing is wrong with the call; the same may succeed later."""
    data = {"problem": problem, "retry_after_ms": retry_after_ms, **more}
    return RpcError(BUSY, data)
