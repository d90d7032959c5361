"""How requests end: streams at their end, WebSockets, and clients that go away."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pipeline.collectors.collector import Collector
from pipeline.collectors.middleware import log_requests
from pipeline.entry import Entry, Level
from tests.collectors.serving import application, found_in, get, run, until

BIG = b"x" * (8 << 20)


def streams(tmp_path: Path) -> dict[str, Callable[[web.Request], Awaitable[Any]]]:
    """Responses whose bytes aiohttp sends piece by piece."""
    (tmp_path / "big").write_bytes(BIG)

    async def pieces() -> AsyncIterator[bytes]:
        for place in range(0, len(BIG), 1 << 20):
            yield BIG[place : place + (1 << 20)]

    async def written(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(BIG)
        await response.prepare(request)
        async for piece in pieces():
            await response.write(piece)
        return response

    async def generated(_: web.Request) -> web.Response:
        return web.Response(body=pieces(), headers={"Content-Length": str(len(BIG))})

    async def from_disk(_: web.Request) -> web.FileResponse:
        return web.FileResponse(tmp_path / "big")

    return {"/written": written, "/generated": generated, "/file": from_disk}


def test_a_stream_is_logged_at_its_end(
    collector: Collector, logged: Callable[[], list[Entry]], tmp_path: Path
) -> None:
    """With the bytes that were sent; not before the client has taken them."""
    app = application(collector)
    for path, handler in streams(tmp_path).items():
        app.router.add_get(path, handler)

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        for path in streams(tmp_path):
            before = collector.stats()["logged"]
            async with session.get(url + path) as response:
                await response.content.readexactly(1000)
                assert collector.stats()["logged"] == before
                await response.read()

    run(app, ask)

    rows = [found_in(row, "path", "status", "bytes") for row in logged()]
    assert rows == [[path, 200, len(BIG)] for path in streams(tmp_path)]


def chunks(*, compressed: bool) -> dict[str, Callable[[web.Request], Awaitable[Any]]]:
    """Responses of no length that is known before, of 3003, 3000 and 0 bytes."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1000

    async def prepared(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if compressed:
            response.enable_compression()
        await response.prepare(request)
        return response

    async def written(request: web.Request) -> web.StreamResponse:
        response = await prepared(request)
        async for piece in pieces():
            await response.write(piece)
        await response.write_eof(b"end")
        return response

    async def generated(_: web.Request) -> web.Response:
        response = web.Response(body=pieces())
        if compressed:
            response.enable_compression()
        return response

    return {"/written": written, "/generated": generated, "/nothing": prepared}


@pytest.mark.parametrize("compressed", [False, True])
def test_the_bytes_of_a_stream_are_those_of_its_body(
    collector: Collector, logged: Callable[[], list[Entry]], compressed: bool
) -> None:
    """Without the head and the marks of its chunks, as a whole response's are."""
    app = application(collector)
    handlers = chunks(compressed=compressed)
    for path, handler in handlers.items():
        app.router.add_get(path, handler)

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        for path in handlers:
            async with session.get(url + path) as response:
                await response.read()

    run(app, ask)

    rows = [found_in(row, "path", "bytes") for row in logged()]
    assert rows == [["/written", 3003], ["/generated", 3000], ["/nothing", 0]]


@pytest.mark.parametrize("path", ["/written", "/generated", "/file"])
def test_a_client_that_leaves_a_stream_is_noted(
    collector: Collector,
    logged: Callable[[], list[Entry]],
    tmp_path: Path,
    path: str,
) -> None:
    """As a warning, without a stack: nothing of the server's is wrong."""
    app = application(collector)
    app.router.add_get(path, streams(tmp_path)[path])

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        response = await session.get(url + path)
        await response.content.readexactly(1000)
        response.close()
        await until(lambda: collector.stats()["logged"] == 1)

    run(app, ask)

    (entry,) = logged()
    assert entry.level == Level.WARN
    assert found_in(entry, "status", "cancelled", "stack") == [499, True, None]


@pytest.mark.parametrize("cancels", [True, False])
def test_a_client_that_does_not_wait_is_noted(
    collector: Collector, logged: Callable[[], list[Entry]], cancels: bool
) -> None:
    """Whether the server cancels the handler then, or lets it go on."""
    begun = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        begun.set()
        await until(lambda: request.transport is None)
        return web.Response()

    app = application(collector)
    app.router.add_get("/", slow)

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        asking = asyncio.create_task(get("/")(session, url))
        await begun.wait()
        asking.cancel()
        await asyncio.wait([asking])
        await until(lambda: collector.stats()["logged"] == 1)

    run(app, ask, handler_cancellation=cancels)

    (entry,) = logged()
    assert entry.level == Level.WARN
    assert found_in(entry, "status", "cancelled") == [499, True]


def test_a_websocket_is_logged_at_its_end(
    collector: Collector, logged: Callable[[], list[Entry]]
) -> None:
    """Once, with how it was closed."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        server = web.WebSocketResponse()
        await server.prepare(request)
        async for message in server:
            await server.send_str(message.data)
        return server

    app = application(collector)
    app.router.add_get("/ws", echo)

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with session.ws_connect(url + "/ws") as client:
            await client.send_str("hi")
            assert await client.receive_str() == "hi"
            assert collector.stats()["logged"] == 0
        await until(lambda: collector.stats()["logged"] == 1)
        client = await session.ws_connect(url + "/ws")
        client._response.close()  # without a word
        await until(lambda: collector.stats()["logged"] == 2)

    run(app, ask)

    rows = [found_in(row, "status", "close_code", "cancelled") for row in logged()]
    assert rows == [[101, 1000, None], [101, 1006, True]]


def test_a_response_that_another_took_the_place_of_is_logged(
    collector: Collector, logged: Callable[[], list[Entry]]
) -> None:
    """A middleware around this one may change headers, or send something else."""

    @web.middleware
    async def around(request: web.Request, handler: Any) -> web.StreamResponse:
        response = await handler(request)
        response.headers["X-Around"] = "yes"
        return response if request.path == "/kept" else web.Response(status=202)

    async def stream(_: web.Request) -> web.Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"piece"

        return web.Response(body=pieces())

    app = web.Application(middlewares=[around, log_requests(collector)])
    app.router.add_get("/{path}", stream)

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(url + "/kept") as response:
            assert response.headers["X-Around"] == "yes"
            assert await response.read() == b"piece"
        async with session.get(url + "/replaced") as response:
            assert response.status == 202

    run(app, ask)
    gc.collect()

    assert [row.message for row in logged()] == ["GET /kept 200", "GET /replaced 200"]
