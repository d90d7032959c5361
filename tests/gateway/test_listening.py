"""The gateway's socket with real connections: slow ones end, many displace none."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from pipeline.gateway.connections import Bounds
from pipeline.gateway.http import application
from pipeline.gateway.listening import Listener, Wires

LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
UNENDING = (
    b"POST /rpc HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
)
"""Its body never comes."""
PAGE = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Backend:
    """Answers nothing; it only counts."""

    def __init__(self):
        self.dispatcher = self
        self.counters = Counter()


@asynccontextmanager
async def serving(most=100, head=10.0, idle=100.0):
    """A server, the way to connect to it, and its connections."""
    connections = Wires(Bounds(most, head, idle))
    writers = []
    app = application(Backend(), 1000, connections=connections)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = Listener(runner, connections)
    address = await listener.start("127.0.0.1", 0)

    async def connect():
        port = int(address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    try:
        yield connect, connections
    finally:
        for writer in writers:
            writer.close()
        await asyncio.gather(
            *(writer.wait_closed() for writer in writers), return_exceptions=True
        )
        listener.close()
        await runner.cleanup()


async def asked(stream, request=PAGE):
    """The status line of an answer over a connection."""
    reader, writer = stream
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(int(re.search(rb"Content-Length: (\d+)", head)[1]))
    return head.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    ("sent", "answer", "counter"),
    [
        (b"", b"", "slow_heads"),
        (b"POST /rpc HTTP/1.1\r\nHost: local", b"HTTP/1.1 408", "slow_heads"),
        (LIVE, b"HTTP/1.1 200", "connections_idle"),
    ],
)
def test_a_connection_that_waits_too_long_is_ended(sent, answer, counter):
    """Without a word, in the middle of a head, after a request."""

    async def test():
        async with serving(head=0.3, idle=0.3) as (connect, connections):
            reader, writer = await connect()
            writer.write(sent)
            async with asyncio.timeout(20):
                reply = await reader.read()
            return reply, dict(connections.counters)

    reply, counters = asyncio.run(test())
    assert reply.startswith(answer)
    assert bool(reply) == bool(answer)
    assert counters == {counter: 1}


def test_many_that_say_nothing_take_nobodys_place():
    """A client that asks among them is answered on its connection each time."""

    async def test():
        async with serving(most=20) as (connect, connections):
            client = await connect()
            answers = [await asked(client)]
            for _ in range(10):
                await asyncio.gather(*(connect() for _ in range(20)))
                answers.append(await asked(client))
            answers.append(await asked(await connect()))
            return answers, dict(connections.counters), len(connections)

    answers, counters, held = asyncio.run(test())
    assert answers == [b"HTTP/1.1 200 OK"] * 12
    assert counters == {"connections_displaced": 182}
    assert held == 20


def test_many_that_ask_only_whether_it_lives_take_nobodys_place():
    """Anybody may ask that, so it makes nobody known."""

    async def test():
        async with serving(most=5) as (connect, _):
            client = await connect()
            first = await asked(client)
            others = [await asked(await connect(), LIVE) for _ in range(9)]
            return [first, *others, await asked(client)]

    assert asyncio.run(test()) == [b"HTTP/1.1 200 OK"] * 11


def test_probes_are_answered_while_all_places_are_busy():
    """Another request there is told when to come again."""

    async def test():
        async with serving(most=64) as (connect, connections):
            for _ in range(62):
                reader, writer = await connect()
                writer.write(UNENDING)
                await reader.readuntil(b"100 Continue\r\n\r\n")
            answers = [await asked(await connect(), each) for each in (PAGE, LIVE)]
            return answers, dict(connections.counters)

    answers, counters = asyncio.run(asyncio.wait_for(test(), 20))
    assert answers == [b"HTTP/1.1 503 Service Unavailable", b"HTTP/1.1 200 OK"]
    assert counters == {"connections_refused": 1}


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_is_nobodys_log(sent, caplog):
    """It is counted and told as other errors are, without what was sent."""

    async def test():
        async with serving() as (connect, connections):
            reader, writer = await connect()
            writer.write(sent)
            async with asyncio.timeout(20):
                return await reader.read(), dict(connections.counters)

    reply, counters = asyncio.run(test())
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert b"nosniff" in head
    assert json.loads(body)["error"]["data"]["problem"] == "no request that can be read"
    assert counters == {"bad_requests": 1}
    assert not caplog.records
