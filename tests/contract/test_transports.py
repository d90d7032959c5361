"""JSON-RPC 2.0, the same over HTTP and over a WebSocket."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest


class Http:
    """POST /rpc."""

    name = "http"

    async def exchange(self, pipeline, body):
        """The reply, or None when there is none."""
        kind = {"Content-Type": "application/json"}
        url = f"{pipeline.url}/rpc"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=kind) as response,
        ):
            text = await response.read()
            assert response.status == (200 if text else 204)
            return json.loads(text) if text else None


class Socket:
    """A frame of /ws; a call that is sure to be answered shows that none came."""

    name = "websocket"

    async def exchange(self, pipeline, body):
        """The reply, or None when there is none."""
        url = f"{pipeline.url}/ws"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, max_msg_size=0) as socket,
        ):
            await socket.send_str(body.decode())
            text = await socket.receive_str() if wants_reply(body) else None
            await socket.send_str('{"jsonrpc":"2.0","method":"rpc.discover","id":"!"}')
            last = json.loads(await socket.receive_str())
            assert last["id"] == "!"
            return json.loads(text) if text else None


def wants_reply(body):
    """Whether a body has a call with an id, or is wrong."""
    try:
        calls = json.loads(body)
    except ValueError:
        return True
    calls = calls if isinstance(calls, list) and calls else [calls]
    return any(not isinstance(call, dict) or "id" in call for call in calls) or not all(
        isinstance(call.get("method"), str) for call in calls
    )


@pytest.fixture(params=[Http(), Socket()], ids=lambda transport: transport.name)
def exchange(request, pipeline):
    """Text to reply, by each transport."""

    def call(body):
        text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return asyncio.run(request.param.exchange(pipeline, text))

    return call


def codes(reply):
    """Code and id of each error of a reply; 0 is a result."""
    replies = reply if isinstance(reply, list) else [reply]
    return [(one.get("error", {}).get("code", 0), one["id"]) for one in replies]


EXAMPLES = [
    # those of the specification, with methods that exist here
    ('{"jsonrpc":"2.0","method":"health","id":1}', [(0, 1)]),
    ('{"jsonrpc":"2.0","method":"health","params":[],"id":"a"}', [(0, "a")]),
    ('{"jsonrpc":"2.0","method":"health","params":{},"id":null}', [(0, None)]),
    ('{"jsonrpc":"2.0","method":"foobar","id":"1"}', [(-32601, "1")]),
    (
        '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
        [(-32700, None)],
    ),
    ('{"jsonrpc":"2.0","method":1,"params":"bar"}', [(-32600, None)]),
    (
        '[{"jsonrpc":"2.0","method":"health","id":"1"},{"jsonrpc":"2.0","method"',
        [(-32700, None)],
    ),
    ("[]", [(-32600, None)]),
    ("[1]", [(-32600, None)]),
    ("[1,2,3]", [(-32600, None)] * 3),
    (
        '[{"jsonrpc":"2.0","method":"query","params":[null,["s"]],"id":"1"},'
        '{"jsonrpc":"2.0","method":"health"},'
        '{"jsonrpc":"2.0","method":"get_stats","id":"2"},'
        '{"foo":"boo"},'
        '{"jsonrpc":"2.0","method":"foo.get","params":{"name":"x"},"id":"5"},'
        '{"jsonrpc":"2.0","method":"health","params":[1],"id":"9"}]',
        [(0, "1"), (0, "2"), (-32600, None), (-32601, "5"), (-32602, "9")],
    ),
    ('{"jsonrpc":"2.0","method":"query","params":{"limt":1},"id":1}', [(-32602, 1)]),
    ('{"jsonrpc":"2.0","method":"query","params":{"limit":0},"id":1}', [(-32602, 1)]),
    ('{"jsonrpc":"2.0","method":"query","params":{"q":"\\""},"id":1}', [(-32602, 1)]),
    ('{"jsonrpc":"2.0","method":"log","params":{"message":1},"id":1}', [(-32602, 1)]),
]


@pytest.mark.parametrize(("body", "expected"), EXAMPLES)
def test_the_specification_s_examples(exchange, body, expected):
    """Codes and ids, in order."""
    reply = exchange(body)

    assert codes(reply) == expected
    assert isinstance(reply, list) == (body.startswith("[") and len(body) > 2) or (
        expected == [(-32700, None)]
    )


@pytest.mark.parametrize(
    "body",
    [
        '{"jsonrpc":"2.0","method":"health"}',
        '{"jsonrpc":"2.0","method":"foobar"}',
        '{"jsonrpc":"2.0","method":"query","params":{"limt":1}}',
        '[{"jsonrpc":"2.0","method":"health"},{"jsonrpc":"2.0","method":"foobar"}]',
    ],
)
def test_notifications_have_no_reply(exchange, body):
    """Not even an error."""
    assert exchange(body) is None


def test_an_error_is_an_object_with_code_message_and_data(exchange):
    """And a reply has either result or error."""
    reply = exchange({"jsonrpc": "2.0", "method": "qeury", "id": 1})

    assert set(reply) == {"jsonrpc", "error", "id"}
    assert reply["error"]["data"]["nearest"] == ["query"]


def test_a_batch_beyond_the_limit_is_refused(exchange):
    """The limit is in the error."""
    call = {"jsonrpc": "2.0", "method": "health", "id": 1}
    reply = exchange([call] * 101)

    assert codes(reply) == [(-32600, None)]
    assert reply["error"]["data"]["expected"] == "at most 100"


def test_text_keeps_every_character(exchange, source):
    """Escapes, surrogate pairs and characters of all planes."""
    message = "".join(map(chr, [*range(256), 0x2028, 0xFFFD, 0x1F600, 0x10FFFF]))
    params = {"source": source, "message": message}
    exchange({"jsonrpc": "2.0", "method": "log", "params": params, "id": 1})
    params = {"sources": [source]}
    reply = exchange({"jsonrpc": "2.0", "method": "query", "params": params, "id": 1})

    assert reply["result"]["logs"][0]["message"] == message
