"""JSON-RPC 2.0 as its specification has it: bytes in, calls or errors out."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gateway.errors import RpcError
from pipeline.gateway.jsonrpc import (
    Call,
    Refused,
    failure,
    join,
    parse,
    reply,
    unknown_method,
)


def one(text):
    """The only call of a body."""
    (call,) = parse(text if isinstance(text, bytes) else text.encode(), 100).calls
    return call


def code_of(text, calls_max=100):
    """The code with which the whole body is refused."""
    with pytest.raises(RpcError) as caught:
        parse(text, calls_max)
    return caught.value.code


def test_a_call_has_method_params_and_id():
    """Params stay as they are written."""
    call = one('{"jsonrpc":"2.0","method":"log","params":{"a": 1.50},"id":7}')

    assert (
        call.method,
        bytes(call.params["a"]),
        bytes(call.id),
    ) == ("log", b"1.50", b"7")


@pytest.mark.parametrize(
    "identity", ["1", '"a\\u00e9"', "null", "1.50", "-0", "12345678901234567890123"]
)
def test_an_id_comes_back_as_it_was_written(identity):
    """Text, number or null, to the character."""
    call = one(f'{{"jsonrpc":"2.0","method":"x","id":{identity}}}')

    assert f'"id":{identity}}}'.encode() in reply(call.id, b"1")


@pytest.mark.parametrize("identity", ["true", "[1]", '{"a":1}', '"\\ud800"', "1e999"])
def test_an_id_of_another_kind_is_refused(identity):
    """The reply has null, since that id can't be repeated."""
    refused = one(f'{{"jsonrpc":"2.0","method":"x","id":{identity}}}')

    assert (refused.error.code, bytes(refused.id)) == (-32600, b"null")


def test_without_id_it_is_a_notification():
    """It wants no reply."""
    assert one('{"jsonrpc":"2.0","method":"x"}').id is None


def test_params_may_be_a_list_or_missing():
    """By position, or none."""
    assert [
        bytes(param)
        for param in one('{"jsonrpc":"2.0","method":"x","params":[1,"b"]}').params
    ] == [b"1", b'"b"']
    assert one('{"jsonrpc":"2.0","method":"x"}').params == {}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", -32700),
        (b"foo", -32700),
        (b'{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', -32700),
        (b'[{"jsonrpc": "2.0", "method": "a", "id": 1}, {"jsonrpc"', -32700),
        (b'{"jsonrpc":"2.0","method":"x","id":tru}', -32700),
        (b"1", -32600),
        (b'"text"', -32600),
        (b"[]", -32600),
    ],
)
def test_a_body_without_any_call_is_refused_as_a_whole(text, code):
    """-32700 is for what isn't JSON, -32600 for what is no request."""
    assert code == code_of(text)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"method":"x","id":1}', "jsonrpc"),
        ('{"jsonrpc":"1.0","method":"x","id":1}', "jsonrpc"),
        ('{"jsonrpc":"2.0","id":1}', "method"),
        ('{"jsonrpc":"2.0","method":1,"id":1}', "method"),
        ('{"jsonrpc":"2.0","method":"x","params":"bar","id":1}', "params"),
    ],
)
def test_a_request_that_is_none_keeps_its_id(text, field):
    """The error names the member."""
    refused = one(text)

    assert (-32600, field, b"1") == (
        refused.error.code,
        refused.error.data["field"],
        bytes(refused.id),
    )


def test_a_batch_may_have_members_that_are_no_request():
    """Each gets its own error, the others are answered."""
    request = parse(b'[1,{"jsonrpc":"2.0","method":"x","id":1},{"foo":"boo"},[]]', 100)

    assert request.is_batch
    kinds = [type(call) for call in request.calls]
    assert [Refused, Call, Refused, Refused] == kinds


def test_a_batch_has_a_limit():
    """Beyond it nothing is done."""
    body = b'[{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","method":"x"}]'

    assert code_of(body, calls_max=1) == -32600


def test_a_flaw_in_params_costs_only_its_call():
    """NaN, a lone surrogate or great depth leaves the call's id and neighbours."""
    deep = b"[" * 5_000 + b"]" * 5_000
    body = b'[%b,{"jsonrpc":"2.0","method":"y","id":2}]'
    for flaw in (b"NaN", b'"\\ud800"', b"-Infinity", deep, b"1e999"):
        call = b'{"jsonrpc":"2.0","method":"x","params":{"a":%b},"id":"i"}' % flaw
        first, second = parse(body % call, 100).calls

        assert (b'"i"', flaw) == (bytes(first.id), bytes(first.params["a"]))
        assert second.method == "y"


def test_great_depth_alone_is_refused():
    """Without a stack overflow."""
    refused = one(b"[" * 100_000 + b"]" * 100_000)

    assert refused.error.code == -32600


def test_an_error_has_code_message_and_data():
    """As JSON text."""
    call = one('{"jsonrpc":"2.0","method":"qery","id":"q"}')
    text = failure(call.id, unknown_method(call.method, ["log", "query"]))

    assert json.loads(text) == {
        "jsonrpc": "2.0",
        "error": {
            "code": -32601,
            "message": "Method not found",
            "data": {
                "problem": "there is no method 'qery'",
                "nearest": ["query"],
                "expected": ["log", "query"],
            },
        },
        "id": "q",
    }


def test_replies_to_a_batch_are_a_list():
    """Results are spliced in as they are."""
    call = one('{"jsonrpc":"2.0","method":"x","id":1}')
    text = join([reply(call.id, b"[1.0]"), reply(call.id, b"{}")])

    assert text == (
        b'[{"jsonrpc":"2.0","result":[1.0],"id":1},{"jsonrpc":"2.0","result":{},"id":1}]'
    )


@given(st.binary(max_size=80))
def test_any_bytes_are_a_request_or_an_error(body):
    """Nothing else is raised."""
    with suppress(RpcError):
        assert parse(body, 100).calls
