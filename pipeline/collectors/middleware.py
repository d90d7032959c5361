"""Requests of an aiohttp server go into the pipeline, each once, when it has ended.

    log = Collector(source="web")
    app = web.Application(middlewares=[log_requests(log, ignore_paths=["/health"])])

An entry has method, path, route, status, duration, bytes of the body, remote address
and user agent as metadata; 5xx and what a handler raises are ERROR (with the stack),
4xx is WARN, all else INFO. While a handler runs, `trace_id` is the one of the request's
`traceparent`, so that what it logs through a PipelineHandler or structlog carries it.

- A response that is streamed, and a WebSocket, are logged when they have ended.
- A client that went away is a WARN of status 499 (nginx's number), `cancelled` true.
- The loop never waits for room in the Collector: with its memory full an entry is
  dropped at once, and counted.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from aiohttp import WSCloseCode, web
from aiohttp.abc import AbstractStreamWriter

from pipeline import clock
from pipeline.collectors.collector import Collector
from pipeline.collectors.traces import parse_traceparent, set_traceparent, trace_id
from pipeline.collectors.values import exception_fields

CLIENT_GONE: Final = 499
"""Status of a request whose client did not wait for the response."""

SERVER_ERROR: Final = 500
CLIENT_ERROR: Final = 400

_followed: ContextVar[web.Request | None] = ContextVar("followed", default=None)
"""The request that is being logged: an application may stand in another."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def log_requests(
    collector: Collector,
    *,
    ignore_paths: Iterable[str] = (),
    source: str | None = None,
) -> Any:
    """A middleware; put it first. `ignore_paths` are paths with all that lies below.

    `source` is the collector's unless it is given.
    """
    ignored = tuple(path.rstrip("/") for path in ignore_paths)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if _followed.get() is request or _is_below(request.path, ignored):
            return await handler(request)
        token = _followed.set(request)
        try:
            return await _Record(request, collector, source).follow(handler)
        finally:
            _followed.reset(token)

    return middleware


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


class _Record:
    """One request, until it has been logged."""

    def __init__(
        self, request: web.Request, collector: Collector, source: str | None
    ) -> None:
        self._request = request
        self._collector = collector
        self._source = source
        self._begun = clock.monotonic()
        # the transport that knows it is gone with the client
        self._remote = request.remote
        self._trace: str | None = None
        self._span: str | None = None
        self._done = False
        self._written = 0
        """Bytes of a streamed body, before it is compressed or cut into chunks."""

        self._measure(request.writer)

    async def follow(self, handler: Handler) -> web.StreamResponse:
        """Run the handler, and log what becomes of the request."""
        header = self._request.headers.get("traceparent")
        token = set_traceparent(header) if header else None
        self._trace = trace_id.get()
        found = parse_traceparent(header) if header else None
        self._span = found.span_id if found is not None else None
        try:
            response = await handler(self._request)
        except web.HTTPException as error:
            broken = error if error.status >= SERVER_ERROR else None
            self._end(error.status, error=broken, size=error.content_length)
            raise
        except BaseException as error:
            self._failed(error)
            raise
        finally:
            if token is not None:
                trace_id.reset(token)
        self._responded(response)
        return response

    def _responded(self, response: web.StreamResponse) -> None:
        """Log a response that is complete; of others follow how they are sent."""
        if not isinstance(response, web.StreamResponse):  # aiohttp answers 500
            self._end(SERVER_ERROR)
        elif not _is_whole(response):
            self._await_end(response)
        elif _is_gone(self._request):
            self._end(CLIENT_GONE)
        else:
            self._end(response.status, size=response.content_length)

    def _await_end(self, response: web.StreamResponse) -> None:
        """The server calls both methods of every response, in this order.

        There is no public signal of the end. One that a middleware around this one has
        put another in place of is never sent: it is logged when it is let go.
        """
        prepare, write_eof = response.prepare, response.write_eof

        async def prepared(request: web.BaseRequest) -> Any:
            with self._watched():
                return await prepare(request)

        async def ended(data: bytes = b"") -> None:
            with self._watched():  # a WebSocket's takes no data
                await (write_eof(data) if data else write_eof())
            self._sent(response)

        response.prepare = prepared  # type: ignore[method-assign]
        response.write_eof = ended  # type: ignore[method-assign]
        weakref.finalize(response, self._end, response.status).atexit = False

    def _measure(self, writer: AbstractStreamWriter) -> None:
        """Count what is written to it: its own sum has head and chunks' marks, too."""
        write, write_eof = writer.write, writer.write_eof

        async def written(chunk: Any, *more: Any, **options: Any) -> None:
            self._written += memoryview(chunk).nbytes
            await write(chunk, *more, **options)

        async def ended(chunk: bytes = b"") -> None:
            self._written += len(chunk)
            await write_eof(chunk)

        writer.write = written  # type: ignore[method-assign]
        writer.write_eof = ended  # type: ignore[method-assign]

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """While the server sends: a broken connection can only be the client's."""
        try:
            yield
        except ConnectionError:
            self._end(CLIENT_GONE)
            raise
        except BaseException as error:
            self._failed(error)
            raise

    def _sent(self, response: web.StreamResponse) -> None:
        if isinstance(response, web.WebSocketResponse):
            code = response.close_code
            broken = code is None or code == WSCloseCode.ABNORMAL_CLOSURE
            self._end(response.status, close_code=code, cancelled=broken or None)
        else:
            # what sendfile sends is not written, but its length is known
            size = response.content_length
            self._end(response.status, size=self._written if size is None else size)

    def _failed(self, error: BaseException) -> None:
        """Log what was raised; that a client has gone is no error of ours."""
        gone = isinstance(error, ConnectionError) and _is_gone(self._request)
        if gone or isinstance(error, asyncio.CancelledError):
            self._end(CLIENT_GONE)
        elif isinstance(error, asyncio.TimeoutError):  # aiohttp's answer to it
            self._end(web.HTTPGatewayTimeout.status_code, error=error)
        else:
            self._end(SERVER_ERROR, error=error)

    def _end(
        self,
        status: int,
        *,
        error: BaseException | None = None,
        size: int | None = None,
        **more: Any,
    ) -> None:
        """Log the request, once."""
        if self._done:
            return
        self._done = True
        request = self._request
        resource = request.match_info.route.resource
        known = {
            "method": request.method,
            "path": request.rel_url.raw_path,
            "route": None if resource is None else resource.canonical,
            "status": status,
            "duration_ms": round((clock.monotonic() - self._begun) * 1000, 3),
            "bytes": size,
            "remote": self._remote,
            "user_agent": request.headers.get("User-Agent"),
            "span_id": self._span,
            "cancelled": True if status == CLIENT_GONE else None,
            **more,
        }
        metadata = {key: value for key, value in known.items() if value is not None}
        if error is not None:
            metadata |= exception_fields(error)
        self._collector.log(
            _level(status, error),
            f"{request.method} {request.rel_url.raw_path} {status}",
            metadata,
            None,
            self._trace,
            None,
            self._source,
        )


def _level(status: int, error: BaseException | None) -> str:
    if error is not None or status >= SERVER_ERROR:
        return "ERROR"
    return "WARN" if status >= CLIENT_ERROR else "INFO"


def _is_whole(response: web.StreamResponse) -> bool:
    """Whether all of it is in memory, so that its size is known already."""
    if not isinstance(response, web.Response) or response.content_length is None:
        return False
    return response.body is None or isinstance(response.body, bytes | bytearray)


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
