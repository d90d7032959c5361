"""The socket of the gateway: who gets a connection, and who loses it again.

aiohttp alone waits an hour for the head of a request, and takes any number of
connections until descriptors run out; then nobody can connect any more.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from pipeline import service
from pipeline.errors import PipelineError
from pipeline.gateway.connections import Connections, End, Link
from pipeline.gateway.replies import HEADERS, refusal

SWEEP_SECONDS: Final = 0.5
"""How often it is looked who has waited too long."""

BACKLOG: Final = 512
"""Connections that the system holds until they are accepted."""

_LINGER_SECONDS: Final = 2.0
"""Longest that what is left of a refused request's body is read."""

_OTHER_DESCRIPTORS: Final = 256
"""What workers, sockets and files of the gateway take beside its connections."""

_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)
_LATE: Final = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

_BAD_REQUEST: Final = 400

Wires = Connections[asyncio.Transport]


class Handler(web.RequestHandler):
    """aiohttp's own, which says what happens on its connection."""

    __slots__ = ("_connections", "_wire")

    def __init__(self, connections: Wires, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._connections = connections
        self._wire: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it, in another's place if there is no other."""
        assert isinstance(transport, asyncio.Transport)
        has_place, goes = self._connections.open(transport, self._loop.time())
        if not has_place:
            transport.write(_FULL)
            transport.close()
            return
        if goes is not None:
            goes.abort()
        self._wire = transport
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Free its place."""
        if self._wire is not None:
            self._connections.closed(self._wire)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note it, before the request that it may complete begins."""
        if self._wire is not None:
            if data:  # aiohttp calls this itself to go on with what it has
                self._connections.received(self._wire, self._loop.time())
            super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is the client's error: anybody could fill a log with it.

        aiohttp would log a stack for each, and tell the bytes back as text.
        """
        if status != _BAD_REQUEST or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        self._connections.counters["bad_requests"] += 1
        expected = "a request of HTTP/1.1 with heads below 8 KiB"
        response = refusal(_BAD_REQUEST, "no request that can be read", expected)
        response.headers.update(HEADERS)
        response.force_close()
        return response

    def pause_writing(self) -> None:
        """The client reads slower than it is answered."""
        super().pause_writing()
        if self._wire is not None:
            self._connections.stopped(self._wire, self._loop.time())

    def resume_writing(self) -> None:
        """It has caught up."""
        super().resume_writing()
        if self._wire is not None:
            self._connections.resumed(self._wire)


class Listener:
    """Takes connections for an application that has been set up."""

    def __init__(self, runner: web.AppRunner, connections: Wires) -> None:
        self._runner = runner
        self._connections = connections
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> str:
        """Bind; the address, with the port that the system chose if it was 0."""
        service.allow_descriptors(self._connections.bounds.most + _OTHER_DESCRIPTORS)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._handler, host, port, backlog=BACKLOG
            )
        except OSError as error:
            text = f"server: can't listen on {host}:{port}: {error.strerror}"
            raise PipelineError(
                f"{text}; free the port or change server.host and server.port"
            ) from None
        self._sweeping = asyncio.create_task(self._sweep())
        bound = self._server.sockets[0].getsockname()
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        return f"http://{name}:{bound[1]}"

    def close(self) -> None:
        """Take no more; those that there are end with the runner."""
        if self._server is not None:
            self._server.close()
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _handler(self) -> Handler:
        assert self._runner.server is not None
        return Handler(
            self._connections,
            self._runner.server,
            loop=asyncio.get_running_loop(),
            access_log=None,
            # aiohttp would inflate 64 KiB to 64 MiB before it looks at the limit
            auto_decompress=False,
            lingering_time=_LINGER_SECONDS,
        )

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for link, why in self._connections.overdue(loop.time()):
                _end(link, why)


def _end(link: Link[asyncio.Transport], why: End) -> None:
    if why is End.SLOW_READER:
        link.wire.abort()
        return
    if why is End.SLOW_HEAD and link.has_spoken:
        link.wire.write(_LATE)
    link.wire.close()
