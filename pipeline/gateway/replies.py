"""Replies of plain HTTP: their headers, and errors as calls have them."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from pipeline.gateway import jsonrpc
from pipeline.gateway.errors import (
    BUSY,
    INVALID_PARAMS,
    INVALID_REQUEST,
    TIME_LIMIT,
    WORKER_LOST,
    RpcError,
    refused,
)

JSON: Final = "application/json"

_STATUS: Final = {
    INVALID_PARAMS: 400,
    INVALID_REQUEST: 400,
    BUSY: 503,
    WORKER_LOST: 503,
    TIME_LIMIT: 504,
}
"""Of paths that answer in plain HTTP; all else is the gateway's own fault."""

HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer: of the moment, what it says it is, and in nobody's frame."""


def content(value: object, status: int = 200) -> web.Response:
    """A reply that is no error, as JSON."""
    body = msgspec.json.encode(value) + b"\n"
    return web.Response(body=body, status=status, content_type=JSON)


def foreign() -> web.Response:
    """A browser asks for a page of another site."""
    expected = "a page of this server, or of gateway.origins"
    return refusal(403, "another site's page", expected)


def refusal(status: int, problem: str, expected: str) -> web.Response:
    """What is wrong with a request, and what would be right."""
    return failure(status, refused(INVALID_REQUEST, problem, expected))


def failure(status: int, error: RpcError) -> web.Response:
    """An error as a call has it; one that may pass says when to come again."""
    body = jsonrpc.failure(jsonrpc.NULL, error)
    response = web.Response(body=body, status=status, content_type=JSON)
    wait_ms = (error.data or {}).get("retry_after_ms")
    if wait_ms is not None:
        response.headers["Retry-After"] = str(-(-wait_ms // 1000))
    return response


def status_of(error: RpcError) -> int:
    """The status of HTTP that says the same."""
    return _STATUS.get(error.code, 500)
