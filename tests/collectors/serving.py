"""A real aiohttp server that logs its requests, and a client that asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from pipeline.collectors.collector import Collector
from pipeline.collectors.middleware import log_requests
from pipeline.entry import Entry


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
