"""The live tail, as server-sent events and over a WebSocket."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest


def run(test):
    """Run a coroutine; nothing takes a minute."""
    return asyncio.run(asyncio.wait_for(test, 60))


class Events:
    """What an EventSource sees of a response."""

    def __init__(self, response):
        self._lines = response.content
        self.last_id = None

    async def next(self):
        """The next event's type and data; ids are kept."""
        kind, data = "message", []
        while (line := (await self._lines.readline()).decode()) != "":
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                data.append(value)
            elif name == "id":
                self.last_id = value
            elif not name and data:
                return kind, json.loads("\n".join(data))
            if line == "\n" and self.last_id is not None and not data:
                return "opened", None
        return "closed", None


@asynccontextmanager
async def tail(pipeline, query="", last_id=None):
    """A connection that is open and will see all that is logged from now on."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with (
        aiohttp.ClientSession(read_bufsize=1 << 24) as session,
        session.get(f"{pipeline.url}/tail?{query}", headers=headers) as response,
    ):
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        events = Events(response)
        assert await events.next() == ("opened", None)
        yield events


async def log(pipeline, **params):
    """One entry, durable."""
    return await asyncio.to_thread(pipeline.result, "log", **params)


def test_new_entries_come_as_events(pipeline, source):
    """In the order of their commits, as `query` has them."""

    async def test():
        async with tail(pipeline, f"sources={source}") as events:
            for number in range(5):
                await log(pipeline, source=source, message=f"m{number}")
            seen = [(await events.next())[1] for _ in range(5)]
        assert seen == pipeline.logs(sources=[source])

    run(test())


def test_only_what_the_filters_let_through(pipeline, source):
    """The same filters as `query` has."""

    async def test():
        query = f"sources={source},other&min_level=WARN&tags=a&q=disk%20-slow"
        async with tail(pipeline, query) as events:
            for level, tags, message in [
                ("INFO", ["a"], "disk full"),
                ("WARN", ["b"], "disk full"),
                ("WARN", ["a"], "disk slow"),
                ("ERROR", ["a", "b"], "disk full"),
            ]:
                await log(
                    pipeline, source=source, level=level, tags=tags, message=message
                )
            _, entry = await events.next()
        assert (entry["level"], entry["tags"]) == ("ERROR", ["a", "b"])

    run(test())


def test_a_reconnect_goes_on_where_it_was(pipeline, source):
    """Nothing is left out, nothing comes twice."""

    async def test():
        async with tail(pipeline, f"sources={source}") as events:
            await log(pipeline, source=source, message="one")
            await events.next()
            last_id = events.last_id
        await log(pipeline, source=source, message="two")
        await log(pipeline, source=source, message="three")
        async with tail(pipeline, f"sources={source}", last_id) as events:
            await log(pipeline, source=source, message="four")
            seen = [(await events.next())[1]["message"] for _ in range(3)]
        assert seen == ["two", "three", "four"]

    run(test())


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("q=%22", "q"),
        ("source=a", "source"),
        ("levels=LOUD", "levels"),
        ("after_block=x", "after_block"),
    ],
)
def test_a_wrong_filter_is_refused(pipeline, query, field):
    """With the same error as a call has."""
    status, _, body = pipeline.request("GET", f"/tail?{query}")

    error = json.loads(body)["error"]
    assert (status, error["code"], error["data"]["field"]) == (400, -32602, field)


def test_many_entries_at_once(pipeline, source):
    """More than a page or a queue holds: what is left out is counted."""

    async def test():
        async with tail(pipeline, f"sources={source}") as events:
            logs = [{"source": source, "message": "x" * 100}] * 20_000
            await asyncio.to_thread(pipeline.result, "log_batch", logs=logs)
            seen = missed = 0
            while seen + missed < 20_000:
                kind, data = await events.next()
                if kind == "missed":
                    missed += data["missed"]
                else:
                    seen += 1
            health = await asyncio.to_thread(pipeline.result, "health")
        assert seen + missed == 20_000
        assert health["tail"]["missed"] >= missed

    run(test())


@asynccontextmanager
async def socket_to(pipeline):
    """A WebSocket; calls return what `call` of it awaits."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{pipeline.url}/ws", max_msg_size=0) as socket,
    ):
        yield socket


async def ask(socket, method, params):
    """Send a call; the next frame is its reply."""
    call = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
    await socket.send_json(call)
    return await socket.receive_json()


def test_a_subscription_over_a_websocket(pipeline, source):
    """Notifications carry its number, the entries and what was missed."""

    async def test():
        async with socket_to(pipeline) as socket:
            reply = await ask(socket, "subscribe", {"sources": [source]})
            number = reply["result"]["subscription"]
            identity = (await log(pipeline, source=source, message="m"))["id"]
            pushed = await socket.receive_json()
            assert (pushed["jsonrpc"], pushed["method"]) == ("2.0", "entries")
            params = pushed["params"]
            assert (params["subscription"], params["missed"]) == (number, 0)
            assert [entry["id"] for entry in params["logs"]] == [identity]
            ended = await ask(socket, "unsubscribe", {"subscription": number})
            assert ended["result"] == {"ended": True}
            again = await ask(socket, "unsubscribe", {"subscription": number})
            assert again["result"] == {"ended": False}

    run(test())


def test_two_subscriptions_of_one_connection(pipeline, source):
    """Each gets its own."""

    async def test():
        async with socket_to(pipeline) as socket:
            first = await ask(socket, "subscribe", {"sources": [source], "q": "a"})
            second = await ask(socket, "subscribe", {"sources": [source], "q": "b"})
            await log(pipeline, source=source, message="b")
            await log(pipeline, source=source, message="a")
            seen = [(await socket.receive_json())["params"] for _ in range(2)]
        got = {one["subscription"]: one["logs"][0]["message"] for one in seen}
        assert got == {
            first["result"]["subscription"]: "a",
            second["result"]["subscription"]: "b",
        }

    run(test())


def test_subscribe_needs_a_websocket(pipeline):
    """Over HTTP there is no such method."""
    assert pipeline.error("subscribe")["code"] == -32601


async def listeners(pipeline):
    """How many there are."""
    health = await asyncio.to_thread(pipeline.result, "health")
    return health["tail"]["clients"]


def test_health_counts_the_listeners(pipeline, source):
    """And forgets them when they go."""

    async def test():
        async with tail(pipeline, f"sources={source}"):
            assert await listeners(pipeline) == 1
        while await listeners(pipeline):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)

    run(test())
