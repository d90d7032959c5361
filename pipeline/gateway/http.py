"""The HTTP surface: POST /rpc, /ws, GET /tail, health, and a page that lists them.

Browsers may send some requests to any site without asking it: a POST needs JSON's
content type, which they ask for first, and a WebSocket the origin of this server, or
one that may use it (`sites`). A name that this server does not go by is refused.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from pipeline.gateway import events
from pipeline.gateway.admission import Admission, DeniedError
from pipeline.gateway.authentication import PROTOCOL
from pipeline.gateway.bodies import BODIES_BYTES, Bodies, Hold
from pipeline.gateway.connections import Connections, Full
from pipeline.gateway.dispatch import Dispatcher
from pipeline.gateway.errors import RpcError, busy
from pipeline.gateway.export import Exports, read_body, read_pairs
from pipeline.gateway.listening import Wires
from pipeline.gateway.principal import OPEN_ROUTES, Principal
from pipeline.gateway.replies import (
    HEADERS,
    JSON,
    content,
    failure,
    foreign,
    refusal,
    status_of,
)
from pipeline.gateway.sites import Sites
from pipeline.gateway.tail import Client, Hub
from pipeline.gateway.websocket import PING_SECONDS, Connection

JSON_TYPES: Final = (JSON, "application/json-rpc")

_PAGE: Final = {
    "name": "Recursive Log Pipeline",
    "POST /rpc": "JSON-RPC 2.0; the method rpc.discover lists all methods",
    "GET /ws": "WebSocket: the same calls, and subscribe / unsubscribe",
    "GET /export": "all entries that match as a file; params as in query, and format",
    "POST /export": "the same, with the params as a JSON map",
    "GET /tail": "new entries as server-sent events; filters as in query",
    "GET /metrics": "all numbers of all processes, as Prometheus reads them",
    "GET /health/live": "200 while this process answers",
    "GET /health/ready": "200 while entries are stored and questions answered",
}


class Backend(Protocol):
    """What the HTTP surface needs of the gateway."""

    hub: Hub
    dispatcher: Dispatcher
    exports: Exports

    def unready(self) -> list[str]:
        """Why requests can't be served now."""

    async def exposed(self) -> tuple[bytes, str]:
        """All metrics, and the content type that they have."""


_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Content-Type, Authorization, Last-Event-ID",
    "Access-Control-Max-Age": "600",
}
_MISDIRECTED: Final = 421
_UNAUTHORIZED: Final = 401

_FULL: Final = {
    Full.SHARE: (429, busy("half of gateway.connections have your requests", 1000)),
    Full.ALL: (503, busy("all of gateway.connections have requests", 1000)),
}

PRINCIPAL: Final = web.RequestKey("principal", Principal)
"""Who sends a request."""


def application(
    backend: Backend,
    body_max: int,
    body_seconds: float = 30.0,
    sites: Sites | None = None,
    admission: Admission | None = None,
    connections: Wires | None = None,
) -> web.Application:
    """The routes; bodies and WebSocket messages have at most `body_max` bytes.

    A body that is not here in time never comes: aiohttp tells nobody of a chunk that is
    broken in a later packet, and a client may stop in the middle.
    """
    admission = admission or Admission()
    own = backend, body_max, body_seconds, sites or Sites(), admission
    surface = _Surface(*own, Connections() if connections is None else connections)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await surface.serve(request, handler)

    app = web.Application(client_max_size=body_max, middlewares=[guard])
    app.cleanup_ctx.append(admission.run)
    app.on_response_prepare.append(surface.mark)
    app.add_routes(
        [
            web.get("/", surface.page),
            web.post("/rpc", surface.rpc),
            web.get("/ws", surface.websocket),
            web.get("/tail", surface.tail),
            web.get("/export", surface.export, allow_head=False),
            web.post("/export", surface.export_posted),
            web.get("/metrics", surface.metrics),
            web.get("/health/live", surface.live),
            web.get("/health/ready", surface.ready),
        ]
    )
    return app


class _Surface:
    def __init__(
        self,
        backend: Backend,
        body_max: int,
        body_seconds: float,
        sites: Sites,
        admission: Admission,
        connections: Wires,
    ) -> None:
        self._admission = admission
        self._connections = connections
        self._bodies = Bodies(max(BODIES_BYTES, body_max))
        self._backend = backend
        self._body_max = body_max
        self._body_seconds = body_seconds
        self._sites = sites

    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, while its connection has a request."""
        wire = request.transport
        if wire is None:  # it is gone already
            return await self._guard(request, handler)
        self._connections.began(wire)
        try:
            return await self._guard(request, handler)
        finally:
            self._connections.ended(wire, asyncio.get_running_loop().time())

    async def _guard(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """What is meant for another server, and what a browser asks beforehand."""
        host, origin = request.headers.get("Host"), request.headers.get("Origin")
        if not self._sites.knows(host):
            expected = "an address, localhost, or a name of gateway.hosts"
            return self._counted(refusal(_MISDIRECTED, "an unknown Host", expected))
        if request.method == "OPTIONS" and origin is not None:
            if self._sites.allows(origin):
                return web.Response(status=204, headers=_PREFLIGHT)
            expected = "an origin of gateway.origins"
            return self._counted(refusal(403, "another site's page", expected))
        return await self._admit(request, handler)

    async def _admit(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """What comes from somebody who may, and not too often."""
        try:
            now = asyncio.get_running_loop().time()
            principal = self._admission.admit(request, now)
            self._place(request, principal)
        except DeniedError as denied:
            response = failure(denied.status, denied.error)
            if denied.status == _UNAUTHORIZED:
                response.headers["WWW-Authenticate"] = "Bearer"
            return self._counted(response)
        request[PRINCIPAL] = principal
        with self._admission.entered(request, principal):
            return await handler(request)

    def _place(self, request: web.Request, principal: Principal) -> None:
        """Its connection keeps its place for it; raises DeniedError if it has none."""
        # a probe is answered to anybody, which makes nobody known
        if request.transport is None or request.path in OPEN_ROUTES:
            return
        full = self._connections.admitted(request.transport, principal.token)
        if full is not None:
            raise DeniedError(*_FULL[full])

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """The headers of every answer, streams too."""
        response.headers.update(HEADERS)
        origin = request.headers.get("Origin")
        response.headers.add("Vary", "Origin")
        if origin is not None and self._sites.allows(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    def _is_foreign(self, request: web.Request) -> bool:
        """Whether a browser sends this for a page that may not use this server."""
        names = ("Origin", "Sec-Fetch-Site", "Host")
        return self._sites.is_foreign(*map(request.headers.get, names))

    async def page(self, _request: web.Request) -> web.Response:
        return content(_PAGE)

    async def live(self, _request: web.Request) -> web.Response:
        return content({"live": True})

    async def ready(self, _request: web.Request) -> web.Response:
        reasons = self._backend.unready()
        status = 503 if reasons else 200
        if self._admission.has_tokens:
            return content({"ready": not reasons}, status)
        return content({"ready": not reasons, "reasons": reasons}, status)

    async def metrics(self, _request: web.Request) -> web.Response:
        body, kind = await self._backend.exposed()
        return web.Response(body=body, headers={"Content-Type": kind})

    def _counted(self, response: web.Response) -> web.Response:
        """A request that was refused before it came to a call."""
        self._backend.dispatcher.counters["refused_http"] += 1
        return response

    async def rpc(self, request: web.Request) -> web.Response:
        with self._bodies.hold() as held:
            body = await self._body(request, held)
            if isinstance(body, web.Response):
                now = asyncio.get_running_loop().time()
                self._admission.spend(_principal(request), now)
                return self._counted(body)
            reply = await self._backend.dispatcher.answer(
                body, _principal(request), is_admitted=True
            )
        if reply is None:
            return web.Response(status=204)
        return web.Response(body=reply, content_type=JSON)

    async def _body(self, request: web.Request, held: Hold) -> bytes | web.Response:
        """The body of a call, or why there is none."""
        early = _maybe_refuse(request, is_foreign=self._is_foreign(request))
        if early is not None:
            return early
        try:
            async with asyncio.timeout(self._body_seconds):
                return await self._read(request, held)
        except RpcError as error:
            self._backend.dispatcher.counters["bodies_refused"] += 1
            return failure(status_of(error), error)
        except TimeoutError:
            self._backend.dispatcher.counters["slow_bodies"] += 1
            limit = f"all of it within {self._body_seconds:g} s"
            return refusal(408, "a body that does not end", limit)
        except web.HTTPRequestEntityTooLarge:
            limit = f"at most {self._body_max:,} bytes"
            return refusal(413, "a body that is too big", limit)
        except web.RequestPayloadError as error:
            return refusal(400, str(error), "a whole HTTP body")

    async def _read(self, request: web.Request, held: Hold) -> bytes:
        """As request.read() does, with an eye on what all of them hold."""
        body = bytearray()
        while piece := await request.content.readany():
            held.take(len(piece))
            body += piece
            if len(body) > self._body_max:
                raise web.HTTPRequestEntityTooLarge(self._body_max, len(body))
        return bytes(body)

    async def export(self, request: web.Request) -> web.StreamResponse:
        """With the params in the query string."""
        if self._is_foreign(request):  # it could read nothing, but take all places
            return self._counted(foreign())
        if request.version < HttpVersion11:
            # without chunks an end looks the same whether it is one or not
            return self._counted(refusal(505, "HTTP/1.0", "HTTP/1.1"))
        try:
            asked = read_pairs(list(request.query.items()))
            who = _principal(request)
            return await self._backend.exports.stream(request, asked, who)
        except RpcError as error:
            return self._counted(failure(status_of(error), error))

    async def export_posted(self, request: web.Request) -> web.StreamResponse:
        """With the params in the body."""
        with self._bodies.hold() as held:
            body = await self._body(request, held)
        if isinstance(body, web.Response):
            return self._counted(body)
        if request.version < HttpVersion11:
            return self._counted(refusal(505, "HTTP/1.0", "HTTP/1.1"))
        try:
            who = _principal(request)
            return await self._backend.exports.stream(request, read_body(body), who)
        except RpcError as error:
            return self._counted(failure(status_of(error), error))

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        if self._is_foreign(request):
            return self._counted(foreign())
        socket = web.WebSocketResponse(
            heartbeat=PING_SECONDS,
            max_msg_size=self._body_max,
            compress=False,
            # never the token: the answer names what was chosen
            protocols=(PROTOCOL,),
        )
        await socket.prepare(request)
        backend = self._backend
        parts = backend.dispatcher, backend.hub, _principal(request), self._bodies
        connection = Connection(socket, *parts)
        await connection.run()
        return socket

    async def tail(self, request: web.Request) -> web.StreamResponse:
        if self._is_foreign(request):
            return self._counted(foreign())
        try:
            filters = events.read_filters(list(request.query.items()), request.headers)
            scope = _principal(request).scope
            client = await self._backend.hub.join(filters, scope)
        except RpcError as error:
            return self._counted(failure(status_of(error), error))
        try:
            return await _stream(request, client)
        finally:
            self._backend.hub.leave(client)


def _principal(request: web.Request) -> Principal:
    """Who calls, as `guard` has found."""
    return request[PRINCIPAL]


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


def _maybe_refuse(request: web.Request, *, is_foreign: bool) -> web.Response | None:
    """A refusal by the headers of a call, or None."""
    if "Content-Type" in request.headers:
        if request.content_type not in JSON_TYPES:
            return refusal(415, f"content type {request.content_type}", JSON)
    elif is_foreign:
        return refusal(415, "no content type, from another site", JSON)
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        expected = "a plain body; log_batch takes compressed entries"
        return refusal(415, f"content encoding {encoding[:32]}", expected)
    return None
