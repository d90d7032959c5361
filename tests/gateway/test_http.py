"""Bodies that do not end are not waited for."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from aiohttp import web

from pipeline.gateway.http import application

HEAD = b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Backend:
    """Answers nothing; it only counts."""

    def __init__(self):
        self.dispatcher = self
        self.counters = Counter()


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (b"Content-Length: 10\r\n\r\n", b"12345"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"no chunk\r\n"),
    ],
)
def test_a_body_that_does_not_end_is_refused(head, rest):
    """It stops in the middle, or a later packet is no chunk."""
    backend = Backend()

    async def test():
        runner = web.AppRunner(application(backend, 1000, body_seconds=0.5))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
            writer.write(HEAD + head)
            await asyncio.sleep(0.1)
            writer.write(rest)
            async with asyncio.timeout(20):
                reply = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return reply
        finally:
            await runner.cleanup()

    assert b" 408 " in asyncio.run(test())
    assert backend.counters == {"refused_http": 1, "slow_bodies": 1}


def test_bodies_share_the_memory_that_there_is(monkeypatch):
    """Who finds none is told when to come again."""
    monkeypatch.setattr("pipeline.gateway.http.BODIES_BYTES", 100)
    backend = Backend()

    async def test():
        runner = web.AppRunner(application(backend, 100, body_seconds=20))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            at = runner.addresses[0][:2]
            first, other = [await asyncio.open_connection(*at) for _ in range(2)]
            first[1].write(HEAD + b"Content-Length: 99\r\n\r\n" + b" " * 98)
            await asyncio.sleep(0.1)
            other[1].write(HEAD + b"Content-Length: 9\r\n\r\n" + b" " * 9)
            async with asyncio.timeout(20):
                reply = await other[0].readuntil(b"\r\n\r\n")
            for _, writer in (first, other):
                writer.close()
                await writer.wait_closed()
            return reply
        finally:
            await runner.cleanup()

    reply = asyncio.run(test())
    assert b" 503 " in reply
    assert b"Retry-After: 1" in reply
    assert backend.counters["bodies_refused"] == 1
