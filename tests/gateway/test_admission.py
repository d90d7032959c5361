"""Admission: how often a caller may call, and guess. With real connections."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from pipeline.gateway import tokens
from pipeline.gateway.admission import Admission, network_of
from pipeline.gateway.authentication import Authenticator
from pipeline.gateway.dispatch import Dispatcher
from pipeline.gateway.errors import BUSY
from pipeline.gateway.http import application
from pipeline.gateway.rates import Rates

CALL = {"jsonrpc": "2.0", "method": "get_limits", "id": 7}
NEVER = 1e-6
"""Calls a second: nobody gets another while a test runs."""


async def answer(_services, _params, _is_notification):
    """What every call gets."""
    return b'"done"'


class Services:
    """The same for whoever calls."""

    def of(self, _principal):
        """These."""
        return self


class Backend:
    """One method, and no tail."""

    hub = None

    def __init__(self, calls):
        self.counters = Counter()
        self.dispatcher = Dispatcher(
            Services(), {"get_limits": answer}, 100, self.counters, rates=calls
        )

    def unready(self):
        """It is ready."""
        return []


@asynccontextmanager
async def serving(calls=None, failures=None, authenticator=None):
    """A client of a server with these bounds, and what it counts."""
    backend = Backend(calls)
    admission = Admission(authenticator, calls, failures, backend.counters)
    runner = web.AppRunner(application(backend, 10_000, admission=admission))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = "http://{}:{}".format(*runner.addresses[0])
        async with aiohttp.ClientSession(address) as session:
            yield session, backend.counters
    finally:
        await runner.cleanup()


@pytest.fixture
def shown(tmp_path):
    """A file of two tokens, and the secrets to show."""
    made = [tokens.new(name, "read", 0, 0) for name in "ab"]
    tokens.write(tmp_path / "tokens", [token for token, _ in made])
    return Authenticator(tmp_path / "tokens", lambda: 1), [secret for _, secret in made]


async def ask(session, secret=None, body=CALL):
    """Status and headers of a call, and its reply."""
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    async with session.post("/rpc", json=body, headers=headers) as response:
        return response.status, response.headers, await response.json()


def test_who_calls_too_often_comes_again_later(shown):
    """Of each token its own calls count; the reply says when, twice."""
    authenticator, (a, b) = shown

    async def test():
        calls = Rates(0.1, 2)
        async with serving(calls, None, authenticator) as (session, counters):
            seen = [(await ask(session, a))[0] for _ in range(2)]
            status, headers, reply = await ask(session, a)
            other = await ask(session, b)
            return [*seen, status, other[0]], headers, reply["error"], counters

    statuses, headers, error, counters = asyncio.run(test())
    assert statuses == [200, 200, 429, 200]
    assert int(headers["Retry-After"]) == 10
    assert error["code"] == BUSY
    assert 9_000 < error["data"]["retry_after_ms"] <= 10_000
    assert counters["rate_limited"] == 1


def test_a_batch_counts_as_its_calls_and_is_not_cut():
    """What it takes too much is waited for."""

    async def test():
        async with serving(Rates(NEVER, 5)) as (session, _):
            first = await ask(session, body=[CALL] * 20)
            return first, await ask(session)

    (_, _, replies), (status, _, _) = asyncio.run(test())
    assert [reply["result"] for reply in replies] == ["done"] * 20
    assert status == 429


def test_frames_are_refused_by_their_calls():
    """Each call of a WebSocket gets its own reply."""

    async def test():
        async with (
            serving(Rates(NEVER, 2)) as (session, _),
            session.ws_connect("/ws") as socket,
        ):
            for number in range(3):
                await socket.send_json([{**CALL, "id": number}] * 2)
            return [json.loads((await socket.receive(20)).data) for _ in range(3)]

    first, *others = sorted(asyncio.run(test()), key=lambda reply: reply[0]["id"])
    assert [reply["id"] for reply in first] == [0, 0]
    assert all("result" in reply for reply in first)
    for number, replies in enumerate(others, 1):
        found = [(reply["id"], reply["error"]["code"]) for reply in replies]
        assert found == [(number, BUSY)] * 2


def test_notifications_that_are_refused_are_counted_each():
    """No reply tells of them."""

    async def test():
        async with (
            serving(Rates(NEVER, 2)) as (session, counters),
            session.ws_connect("/ws") as socket,
        ):
            told = {"jsonrpc": "2.0", "method": "get_limits"}
            await socket.send_json(CALL)
            await socket.receive(20)
            await socket.send_json([told] * 50)
            await socket.send_json(CALL)
            await socket.receive(20)
            return counters

    counters = asyncio.run(test())
    assert counters["notifications_limited"] == 50
    assert counters["rate_limited"] == 2


REFUSED = [
    ("POST", "/rpc", {"data": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
    ("POST", "/rpc", {"json": "x" * 20_000}, 413),
    ("GET", "/rpc", {}, 405),
    ("GET", "/nothing", {}, 404),
]


@pytest.mark.parametrize(("method", "path", "sent", "status"), REFUSED)
def test_what_is_refused_counts_as_a_call(method, path, sent, status):
    """It is work too: nobody may send any number of requests that are wrong."""

    async def test():
        async with serving(Rates(NEVER, 2)) as (session, _):
            statuses = []
            for _ in range(3):
                async with session.request(method, path, **sent) as response:
                    statuses.append(response.status)
            return statuses

    assert asyncio.run(test()) == [status, status, 429]


def test_a_websocket_counts_as_a_call():
    """Who opens one after another is refused as who calls is."""

    async def test():
        async with serving(Rates(NEVER, 2)) as (session, _):
            for _ in range(2):
                await (await session.ws_connect("/ws")).close()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect("/ws")
            return refused.value.status

    assert asyncio.run(test()) == 429


def test_probes_are_answered_to_everybody():
    """However often its address has called: who watches must not be shut out."""

    async def test():
        async with serving(Rates(NEVER, 1)) as (session, _):
            await ask(session)
            async with session.get("/health/ready") as response:
                return (await ask(session))[0], response.status

    assert asyncio.run(test()) == (429, 200)


def test_guesses_have_a_bound(shown):
    """Beyond it even a right one is not told apart; who was there before passes."""
    authenticator, (a, b) = shown

    async def test():
        failures = Rates(NEVER, 3)
        async with serving(None, failures, authenticator) as (session, counters):
            asked = [a, None, "plt_wrong", "wrong", "plt_wrong", b, None, a]
            return [await ask(session, secret) for secret in asked], counters

    replies, counters = asyncio.run(test())
    assert [reply[0] for reply in replies] == [200, 401, 401, 401, 429, 429, 429, 200]
    assert "Retry-After" in replies[4][1]
    assert replies[4][2]["error"]["message"] == replies[5][2]["error"]["message"]
    assert counters["authentications_failed"] == 3
    assert counters["authentications_limited"] == 3


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_who_owns_a_network_is_one_caller(address, network):
    """Nobody gets 2**64 rates by changing addresses."""
    assert network_of(address) == network
