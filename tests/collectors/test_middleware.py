"""Requests of a real aiohttp server, as they are found in a real ingester's store."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pipeline import PipelineHandler
from pipeline.collectors.collector import Collector
from pipeline.collectors.middleware import log_requests
from pipeline.entry import Entry, Level
from tests.running import RunningIngester

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
BIG = b"x" * (8 << 20)


@pytest.fixture(scope="module")
def ingester(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIngester]:
    """One for all tests of this file; each has a source of its own."""
    running = RunningIngester(tmp_path_factory.mktemp("i"))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def collector(
    ingester: RunningIngester, request: pytest.FixtureRequest
) -> Iterator[Collector]:
    """What the middleware logs through."""
    endpoints = {"acknowledge_endpoint": ingester.publish}
    with Collector(ingester.ingest, request.node.name, **endpoints) as log:
        yield log


@pytest.fixture
def logged(
    ingester: RunningIngester, collector: Collector
) -> Callable[[], list[Entry]]:
    """The requests that this test has made, in the order of their ends."""

    def entries() -> list[Entry]:
        assert collector.flush()
        return ingester.entries(collector.source)

    return entries


@asynccontextmanager
async def serving(app: web.Application, **options: Any) -> AsyncIterator[str]:
    """A server on a port of its own; its address."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, **options)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def application(collector: Collector, **options: Any) -> web.Application:
    """One that logs its requests."""
    return web.Application(middlewares=[log_requests(collector, **options)])


async def until(done: Callable[[], bool]) -> None:
    """Wait for something that happens in the server."""
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - the collector has no event for it
            await asyncio.sleep(0.01)


Ask = Callable[[aiohttp.ClientSession, str], Awaitable[None]]


def run(app: web.Application, ask: Ask, **options: Any) -> None:
    """Serve it while `ask` talks to it."""

    async def main() -> None:
        async with serving(app, **options) as url, aiohttp.ClientSession() as session:
            await ask(session, url)

    asyncio.run(main())


def get(*paths: str, **options: Any) -> Ask:
    """Get these, one after another, to their ends."""

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        for path in paths:
            async with session.get(url + path, **options) as response:
                await response.read()

    return ask


def found_in(entry: Entry, *keys: str) -> list[Any]:
    """Values of the entry's metadata."""
    assert entry.metadata is not None
    return [entry.metadata.get(key) for key in keys]


def test_a_request_is_an_entry(
    collector: Collector, logged: Callable[[], list[Entry]]
) -> None:
    """With all that is known of it."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hällo")

    app = application(collector, source="http")
    app.router.add_get("/users/{id}", hello)
    headers = {"User-Agent": "test/1", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    run(app, get("/users/7%20a?key=secret", headers=headers))

    collector.source = "http"
    (entry,) = logged()
    assert entry[1:4] == ("http", Level.INFO, "GET /users/7%20a 200")
    assert entry.trace_id == TRACE
    assert entry.metadata is not None
    assert entry.metadata.pop("duration_ms") > 0
    assert entry.metadata == {
        "method": "GET",
        "path": "/users/7%20a",
        "route": "/users/{id}",
        "status": 200,
        "bytes": 6,
        "remote": "127.0.0.1",
        "user_agent": "test/1",
        "span_id": SPAN,
    }


def test_the_status_decides_the_level_and_what_is_raised_has_its_stack(
    collector: Collector, logged: Callable[[], list[Entry]]
) -> None:
    """Whether a status is returned or raised; aiohttp still answers."""
    answers: dict[str, BaseException | int] = {
        "/301": web.HTTPMovedPermanently("/"),
        "/403": web.HTTPForbidden(),
        "/404": 404,
        "/503": web.HTTPServiceUnavailable(),
        "/502": 502,
        "/bug": KeyError("bug"),
        "/slow": TimeoutError("slow"),
    }

    async def answer(request: web.Request) -> web.Response:
        answer = answers[request.path]
        if isinstance(answer, BaseException):
            raise answer
        return web.Response(status=answer)

    app = application(collector)
    for path in answers:
        app.router.add_get(path, answer)
    run(app, get(*answers, "/absent", allow_redirects=False))

    entries = logged()
    rows = [(*found_in(row, "status", "exc_type"), row.level) for row in entries]
    assert rows == [
        (301, None, Level.INFO),
        (403, None, Level.WARN),
        (404, None, Level.WARN),
        (503, "aiohttp.web_exceptions.HTTPServiceUnavailable", Level.ERROR),
        (502, None, Level.ERROR),
        (500, "KeyError", Level.ERROR),
        (504, "TimeoutError", Level.ERROR),
        (404, None, Level.WARN),
    ]
    assert "raise answer" in found_in(entries[5], "stack")[0]
    assert "route" not in (entries[7].metadata or {})


def test_paths_can_be_ignored_with_all_below_them(
    collector: Collector, logged: Callable[[], list[Entry]]
) -> None:
    """And nothing that only begins so."""
    app = application(collector, ignore_paths=["/health", "/static/"])

    run(app, get("/health", "/static/a.js", "/static", "/healthy", "/staticx"))

    assert [found_in(row, "path")[0] for row in logged()] == ["/healthy", "/staticx"]


def test_an_application_within_another_logs_once(
    collector: Collector, logged: Callable[[], list[Entry]]
) -> None:
    """Though both have the middleware."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response()

    inner, outer = application(collector), application(collector)
    inner.router.add_get("/hello", hello)
    outer.add_subapp("/inner", inner)
    run(outer, get("/inner/hello"))

    assert [found_in(row, "route") for row in logged()] == [["/inner/hello"]]


def test_what_a_handler_logs_carries_the_trace(
    ingester: RunningIngester,
    collector: Collector,
    logged: Callable[[], list[Entry]],
) -> None:
    """And the next request of the connection has its own, or none."""
    import logging

    logger = logging.Logger("shop")
    logger.addHandler(PipelineHandler(collector=collector))

    async def hello(request: web.Request) -> web.Response:
        logger.info("working")
        return web.Response()

    app = application(collector)
    app.router.add_get("/", hello)

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        await get("/", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})(session, url)
        await get("/", headers={"traceparent": "broken"})(session, url)

    run(app, ask)

    rows = [(row.message, row.trace_id) for row in logged()]
    assert rows == [
        ("working", TRACE),
        ("GET / 200", TRACE),
        ("working", None),
        ("GET / 200", None),
    ]


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


def test_the_loop_does_not_wait_for_room(tmp_path: Path) -> None:
    """With the pipeline away and the memory full: entries are dropped and counted."""
    away = Collector(
        f"ipc://{tmp_path}/none",
        acknowledge_endpoint=f"ipc://{tmp_path}/nobody",
        memory_bytes=1000,
        block_ms=20_000,
    )

    async def hello(_: web.Request) -> web.Response:
        return web.Response()

    app = application(away)
    app.router.add_get("/", hello)

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with asyncio.timeout(10):
            await get(*["/"] * 50)(session, url)

    run(app, ask)

    assert away.stats()["dropped"]["INFO"] > 0
    away.close(0)
