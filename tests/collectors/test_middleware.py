"""Requests of a real aiohttp server, as they are found in a real ingester's store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from pipeline import PipelineHandler
from pipeline.collectors.collector import Collector
from pipeline.collectors.middleware import log_requests
from pipeline.collectors.traces import trace_id
from pipeline.entry import Entry, Level
from tests.collectors.serving import application, found_in, get, run

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


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
    collector: Collector, logged: Callable[[], list[Entry]]
) -> None:
    """The next request has its own, or none; what is around the middleware has none."""
    logger = logging.Logger("shop")
    logger.addHandler(PipelineHandler(collector=collector))

    async def hello(request: web.Request) -> web.Response:
        logger.info("working")
        return web.Response()

    after: list[str | None] = []

    @web.middleware
    async def around(request: web.Request, handler: Any) -> web.StreamResponse:
        response = await handler(request)
        after.append(trace_id.get())
        return response

    app = web.Application(middlewares=[around, log_requests(collector)])
    app.router.add_get("/", hello)

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        await get("/", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})(session, url)
        await get("/", headers={"traceparent": "broken"})(session, url)

    run(app, ask)

    assert after == [None, None]
    rows = [(row.message, row.trace_id) for row in logged()]
    assert rows == [
        ("working", TRACE),
        ("GET / 200", TRACE),
        ("working", None),
        ("GET / 200", None),
    ]


def test_the_loop_does_not_wait_for_room(tmp_path: Path) -> None:
    """With the pipeline away and the memory full: entries are dropped and counted."""
    away = Collector(
        f"ipc://{tmp_path}/none",
        acknowledge_endpoint=f"ipc://{tmp_path}/nobody",
        memory_bytes=1000,
        block_ms=20_000,
        spool="off",
    )

    async def hello(_: web.Request) -> web.Response:
        return web.Response()

    app = application(away)
    app.router.add_get("/", hello)

    async def ask(session: aiohttp.ClientSession, url: str) -> None:
        async with asyncio.timeout(10):
            await get(*["/"] * 50)(session, url)

    run(app, ask)

    assert away.stats()["dropped"]["full"]["INFO"] > 0
    away.close(0)
