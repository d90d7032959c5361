"""Calls of tools by the official client: the gateway away and back, and cancelled."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mcp.shared.exceptions import MCPError

from tests.end_to_end.running import Pipeline
from tests.mcp.clients import ERAS, connected, error_of, of_http, of_stdio, text_of
from tests.ports import free_port


@pytest.mark.parametrize("era", ERAS)
def test_each_protocol_is_spoken(target, era):
    """That of 2026, and that with a handshake."""

    async def act(client):
        return json.loads(await text_of(client, "get_log_stats"))

    assert connected(target, act, era)["total_logs"] > 0


def test_many_clients_are_served_at_once(http_server):
    """Each with several calls under way."""

    async def act(client):
        calls = [text_of(client, "get_log_stats") for _ in range(5)]
        return await asyncio.gather(*calls)

    async def run():
        from mcp import Client

        async def one():
            async with Client(of_http(http_server.address)) as client:
                return await act(client)

        return await asyncio.gather(*(one() for _ in range(8)))

    texts = [text for found in asyncio.run(run()) for text in found]
    assert len(texts) == 40
    assert all(json.loads(text)["total_logs"] > 0 for text in texts)


def test_a_gateway_that_is_away_is_said_and_used_when_it_is_back():
    """By the same client, which is not started anew."""
    port = free_port()
    pipeline = Pipeline(server__port=port)
    url = f"http://127.0.0.1:{port}"

    async def act(client):
        before = await error_of(client, "get_log_stats")
        await asyncio.to_thread(pipeline.start, "gateway")
        await text_of(client, "get_log_stats")
        await asyncio.to_thread(pipeline.stop, "gateway")
        between = await error_of(client, "get_log_stats")
        await asyncio.to_thread(pipeline.start, "gateway")
        return before, between, json.loads(await text_of(client, "get_log_stats"))

    try:
        before, between, stats = connected(
            of_stdio(pipeline.environ, "--url", url), act
        )
    finally:
        pipeline.close()
    assert f"does not answer at {url} (Connection refused): start it" in before
    assert before == between
    assert stats["total_logs"] >= 0


def test_a_wrong_argument_is_answered_with_what_would_be_right(http_server):
    """As a result, which the caller can act on."""

    async def act(client):
        return await error_of(client, "get_log_stats", group_by="sources")

    text = connected(http_server.address, act)
    assert "group_by" in text
    assert "expected" in text


def test_a_tool_that_does_not_exist_is_refused_with_the_nearest(http_server):
    """As an error of the protocol."""

    async def act(client):
        with pytest.raises(MCPError) as raised:
            await client.call_tool("get_recent_error", {})
        return str(raised.value)

    assert "did you mean get_recent_errors?" in connected(http_server.address, act)


class _Silent(BaseHTTPRequestHandler):
    """A gateway that never answers, and notes that nobody waits any more."""

    def do_POST(self):
        self.server.asked.set()
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.connection.recv(1) == b"":
            self.server.left.set()
        self.close_connection = True

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture(scope="module")
def silent_gateway():
    """Such a gateway."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Silent)
    server.asked, server.left = threading.Event(), threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def silent(silent_gateway):
    """It, asked by nobody yet."""
    silent_gateway.asked.clear()
    silent_gateway.left.clear()
    return silent_gateway


@pytest.fixture(scope="module", params=["stdio", "http"])
def target_of_silent(request, pipeline, silent_gateway):
    """The tools in front of it, on each transport."""
    flags = ("--url", silent_gateway.url, "--timeout", "30")
    if request.param == "stdio":
        yield of_stdio(pipeline.environ, *flags)
        return
    server = pipeline.process("mcp", *flags, "--http", "127.0.0.1:0")
    yield of_http(server.address)
    server.stop()


@pytest.mark.parametrize("era", ERAS)
def test_a_cancelled_call_cancels_its_question(target_of_silent, silent, era):
    """The client gives it up, and the gateway hears of it before its time is over."""

    async def act(client):
        call = asyncio.create_task(client.call_tool("get_log_stats", {}))
        await asyncio.to_thread(silent.asked.wait, 20)
        call.cancel()
        return await asyncio.to_thread(silent.left.wait, 20)

    assert connected(target_of_silent, act, era)


def test_a_call_that_takes_too_long_is_answered(pipeline, silent):
    """With how to ask for less."""
    target = of_stdio(pipeline.environ, "--url", silent.url, "--timeout", "0.3")

    async def act(client):
        return await error_of(client, "get_log_stats")

    assert connected(target, act).startswith(
        "No answer within 0.3 s: ask for a shorter"
    )
