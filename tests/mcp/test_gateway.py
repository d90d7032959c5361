"""The gateway as the tools ask it: slow, busy, away and back."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from pipeline.mcp.gateway import Gateway
from pipeline.mcp.replies import ToolError

RESULT = {"result": {"ok": True}}


def busy(milliseconds):
    """A gateway's reply when it has too much to do."""
    data = {"problem": "8 questions wait", "retry_after_ms": milliseconds}
    return {"error": {"code": -32003, "message": "busy", "data": data}}


LOST = {"error": {"code": -32005, "message": "the query's worker process ended"}}


@asynccontextmanager
async def serving(*replies, seconds=5.0, token=None):
    """A gateway over a server that gives these replies, the last for ever."""
    left = list(replies)

    async def answer(request):
        reply = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(reply, str):  # the only one who may ask
            known = request.headers.get("Authorization") == reply
            return web.json_response(RESULT, status=200 if known else 401)
        return web.json_response(reply) if isinstance(reply, dict) else await reply()

    app = web.Application()
    app.router.add_post("/rpc", answer)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    try:
        async with Gateway(f"http://{host}:{port}/", seconds, token) as gateway:
            yield gateway
    finally:
        await runner.cleanup()


def ask(*replies, **given):
    """What a call gets."""

    async def call():
        async with serving(*replies, **given) as gateway:
            return await gateway.ask("get_trace", {"trace_id": "a"})

    return asyncio.run(call())


def test_a_busy_gateway_is_asked_again():
    """When it says so."""
    assert ask(busy(1), busy(1), RESULT) == '{"ok": true}'


def test_a_gateway_that_stays_busy_is_left_alone():
    """The caller decides whether to ask again."""
    with pytest.raises(ToolError, match=r"busy \(8 questions wait\)"):
        ask(busy(20_000))


def test_a_question_whose_worker_ended_is_asked_once_more():
    """Another worker may have been its victim."""
    assert ask(LOST, RESULT) == '{"ok": true}'
    with pytest.raises(ToolError, match="lost the question twice"):
        ask(LOST)


def test_a_call_has_an_end():
    """Whatever the gateway does."""
    with pytest.raises(ToolError, match=r"No answer within 0\.2 s: ask for a shorter"):
        ask(lambda: asyncio.sleep(60), seconds=0.2)


def test_a_cancelled_call_cancels_its_question():
    """The gateway sees that nobody waits any more."""

    async def run():
        asked, cancelled = asyncio.Event(), asyncio.Event()

        async def answer():
            asked.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        async with serving(answer) as gateway:
            call = asyncio.create_task(gateway.ask("get_trace", {}))
            await asked.wait()
            call.cancel()
            await asyncio.wait_for(cancelled.wait(), 5)

    asyncio.run(run())


def test_a_gateway_that_is_away_is_named_with_what_starts_it():
    """At once."""

    async def run():
        async with Gateway("http://127.0.0.1:9", 5.0) as gateway:
            await gateway.ask("get_trace", {})

    with pytest.raises(
        ToolError, match=r"at http://127.0.0.1:9 \(Connection refused\)"
    ):
        asyncio.run(run())


def test_a_reply_without_end_is_not_kept():
    """Something else than a gateway answers there."""

    async def answer():
        return web.Response(body=b"x" * (17 << 20))

    with pytest.raises(ToolError, match="is not the gateway"):
        ask(answer)


def test_a_gateway_that_asks_who_calls_is_shown_the_token():
    """Without it, the caller hears where it belongs."""
    assert ask("Bearer abc", token="abc") == '{"ok": true}'
    with pytest.raises(ToolError, match=r"\(401\): start `pipeline mcp` with .*_TOKEN"):
        ask("Bearer abc")
