"""The HTTP surface: POST /rpc, /ws, GET /tail, health, and a page that lists them.

Browsers may send some requests to any site without asking it: a POST needs JSON's
content type, which they ask for first, and a WebSocket the origin of this server.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol
from urllib.parse import urlsplit

import msgspec
from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from pipeline.gateway import events, jsonrpc
from pipeline.gateway.dispatch import Dispatcher
from pipeline.gateway.errors import (
    BUSY,
    INVALID_PARAMS,
    INVALID_REQUEST,
    TIME_LIMIT,
    WORKER_LOST,
    RpcError,
    refused,
)
from pipeline.gateway.export import Exports, read_body, read_pairs
from pipeline.gateway.tail import Client, Hub
from pipeline.gateway.websocket import PING_SECONDS, Connection

JSON: Final = "application/json"
JSON_TYPES: Final = (JSON, "application/json-rpc")

BODY_SECONDS: Final = 30.0
"""A body that is not here by then never comes: aiohttp tells nobody of a chunk that is
broken in a later packet, and a client may stop in the middle."""

_PAGE: Final = {
    "name": "Recursive Log Pipeline",
    "POST /rpc": "JSON-RPC 2.0; the method rpc.discover lists all methods",
    "GET /ws": "WebSocket: the same calls, and subscribe / unsubscribe",
    "GET /export": "all entries that match as a file; params as in query, and format",
    "POST /export": "the same, with the params as a JSON map",
    "GET /tail": "new entries as server-sent events; filters as in query",
    "GET /health/live": "200 while this process answers",
    "GET /health/ready": "200 while entries are stored and questions answered",
}


_STATUS: Final = {
    INVALID_PARAMS: 400,
    INVALID_REQUEST: 400,
    BUSY: 503,
    WORKER_LOST: 503,
    TIME_LIMIT: 504,
}
"""Of paths that answer in plain HTTP; all else is the gateway's own fault."""


class Backend(Protocol):
    """What the HTTP surface needs of the gateway."""

    hub: Hub
    dispatcher: Dispatcher
    exports: Exports

    def unready(self) -> list[str]:
        """Why requests can't be served now."""


def application(
    backend: Backend, body_max: int, body_seconds: float = BODY_SECONDS
) -> web.Application:
    """The routes; bodies and WebSocket messages have at most `body_max` bytes."""
    app = web.Application(client_max_size=body_max, middlewares=[_plain_headers])
    surface = _Surface(backend, body_max, body_seconds)
    app.add_routes(
        [
            web.get("/", surface.page),
            web.post("/rpc", surface.rpc),
            web.get("/ws", surface.websocket),
            web.get("/tail", surface.tail),
            web.get("/export", surface.export, allow_head=False),
            web.post("/export", surface.export_posted),
            web.get("/health/live", surface.live),
            web.get("/health/ready", surface.ready),
        ]
    )
    return app


class _Surface:
    def __init__(self, backend: Backend, body_max: int, body_seconds: float) -> None:
        self._backend = backend
        self._body_max = body_max
        self._body_seconds = body_seconds

    async def page(self, _request: web.Request) -> web.Response:
        return _json(_PAGE)

    async def live(self, _request: web.Request) -> web.Response:
        return _json({"live": True})

    async def ready(self, _request: web.Request) -> web.Response:
        reasons = self._backend.unready()
        status = 503 if reasons else 200
        return _json({"ready": not reasons, "reasons": reasons}, status)

    def _counted(self, refusal: web.Response) -> web.Response:
        """A request that was refused before it came to a call."""
        self._backend.dispatcher.counters["refused_http"] += 1
        return refusal

    async def rpc(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if isinstance(body, web.Response):
            return self._counted(body)
        reply = await self._backend.dispatcher.answer(body)
        if reply is None:
            return web.Response(status=204)
        return web.Response(body=reply, content_type=JSON)

    async def _body(self, request: web.Request) -> bytes | web.Response:
        """The body of a call, or why there is none."""
        refusal = _maybe_refuse(request)
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(self._body_seconds):
                return await request.read()
        except TimeoutError:
            limit = f"all of it within {self._body_seconds:g} s"
            return _refusal(408, "a body that does not end", limit)
        except web.HTTPRequestEntityTooLarge:
            limit = f"at most {self._body_max:,} bytes"
            return _refusal(413, "a body that is too big", limit)
        except web.RequestPayloadError as error:
            return _refusal(400, str(error), "a whole HTTP body")

    async def export(self, request: web.Request) -> web.StreamResponse:
        """With the params in the query string."""
        if request.version < HttpVersion11:
            # without chunks an end looks the same whether it is one or not
            return self._counted(_refusal(505, "HTTP/1.0", "HTTP/1.1"))
        try:
            asked = read_pairs(list(request.query.items()))
            return await self._backend.exports.stream(request, asked)
        except RpcError as error:
            return self._counted(_error(_status(error), error))

    async def export_posted(self, request: web.Request) -> web.StreamResponse:
        """With the params in the body."""
        body = await self._body(request)
        if isinstance(body, web.Response):
            return self._counted(body)
        if request.version < HttpVersion11:
            return self._counted(_refusal(505, "HTTP/1.0", "HTTP/1.1"))
        try:
            return await self._backend.exports.stream(request, read_body(body))
        except RpcError as error:
            return self._counted(_error(_status(error), error))

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        if _is_foreign(request):
            expected = "a page of this server"
            return self._counted(_refusal(403, "another site's page", expected))
        socket = web.WebSocketResponse(
            heartbeat=PING_SECONDS, max_msg_size=self._body_max, compress=False
        )
        await socket.prepare(request)
        connection = Connection(socket, self._backend.dispatcher, self._backend.hub)
        await connection.run()
        return socket

    async def tail(self, request: web.Request) -> web.StreamResponse:
        try:
            filters = events.read_filters(list(request.query.items()), request.headers)
            client = await self._backend.hub.join(filters)
        except RpcError as error:
            return self._counted(_error(_status(error), error))
        try:
            return await _stream(request, client)
        finally:
            self._backend.hub.leave(client)


async def _stream(request: web.Request, client: Client) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    try:
        await response.write(events.opening(client.joined_at))
        while not client.is_closed:
            delivery = await client.take(events.HEARTBEAT_SECONDS)
            await response.write(events.encode(delivery))
    except ConnectionError:
        return response  # the client is gone: as it may
    return response


@web.middleware
async def _plain_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers are of the moment, and are what they say they are."""
    response = await handler(request)
    if not response.prepared:
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _maybe_refuse(request: web.Request) -> web.Response | None:
    """A refusal by the headers of a call, or None."""
    if "Content-Type" in request.headers:
        if request.content_type not in JSON_TYPES:
            return _refusal(415, f"content type {request.content_type}", JSON)
    elif _is_foreign(request):
        return _refusal(415, "no content type, from another site", JSON)
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        expected = "a plain body; log_batch takes compressed entries"
        return _refusal(415, f"content encoding {encoding[:32]}", expected)
    return None


def _is_foreign(request: web.Request) -> bool:
    """Whether a browser sends this for a page of another site."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") == "cross-site"
    return urlsplit(origin).netloc != request.headers.get("Host")


def _json(content: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(content) + b"\n"
    return web.Response(body=body, status=status, content_type=JSON)


def _refusal(status: int, problem: str, expected: str) -> web.Response:
    return _error(status, refused(INVALID_REQUEST, problem, expected))


def _error(status: int, error: RpcError) -> web.Response:
    body = jsonrpc.failure(jsonrpc.NULL, error)
    response = web.Response(body=body, status=status, content_type=JSON)
    wait_ms = (error.data or {}).get("retry_after_ms")
    if wait_ms is not None:
        response.headers["Retry-After"] = str(-(-wait_ms // 1000))
    return response


def _status(error: RpcError) -> int:
    return _STATUS.get(error.code, 500)
