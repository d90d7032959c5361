"""A key twice in a map of a call: it is refused, since one value would be lost."""

from __future__ import annotations

import json

import msgspec
import pytest
from msgspec import Raw

from pipeline.entry import Entry
from pipeline.errors import EntryError
from pipeline.gateway.errors import INVALID_PARAMS
from pipeline.gateway.jsonrpc import Refused, parse
from pipeline.gateway.methods.entries import decode_member, read_entry

TWICE = "a key stands twice"


def call(params):
    """The only call of a body with these params, as written."""
    text = f'{{"jsonrpc":"2.0","method":"log","params":{params},"id":1}}'
    (found,) = parse(text.encode(), 1).calls
    return found


@pytest.mark.parametrize(
    "params",
    [
        '{"a":1,"a":2}',
        '{"a":1, "b": 2, "a":1}',
        '{"":0,"":0}',
        r'{"a":1,"\u0061":2}',
        '{"a":"%s","a":2}' % ("x" * 1_000_000),
        json.dumps({"a": 1, "b": [{"c": 2}]})[:-1] + ', "b": 3}',
    ],
)
def test_a_param_twice_is_refused_by_its_name(params):
    """However it is written."""
    found = call(params)

    assert isinstance(found, Refused)
    assert found.error.code == INVALID_PARAMS
    assert found.error.data["problem"] == "stands twice"


@pytest.mark.parametrize("indent", [None, 1, 8])
def test_white_space_is_no_param(indent):
    """The same params in any layout are a call."""
    given = {"source": "s", "é\u0001": {"a": 1, "b": {"a": 1}}, "message": '"a":1,'}
    found = call(json.dumps(given, indent=indent))

    assert {key: msgspec.json.decode(value) for key, value in found.params.items()} == (
        given
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"source":"s","message":"1","message":"2"}',
        '{"source":"s","message":"m","metadata":{"a":1,"a":1}}',
        '{"source":"s","message":"m","metadata":{"a":[{"b":1 , "b" :2}]}}',
        r'{"source":"s","message":"\"x\":1","metadata":{"a":1,"\u0061":1}}',
    ],
)
def test_a_row_with_a_key_twice_is_refused(text):
    """At any depth; its neighbours never notice."""
    with pytest.raises(EntryError, match=TWICE):
        read_entry(Raw(text.encode()), 0)


def test_strings_that_look_like_keys():
    """They are counted, looked at closely, and taken."""
    given = {"source": "s", "message": '{"a":1,"a":2}', "metadata": {"a": '":'}}
    row = read_entry(Raw(json.dumps(given).encode()), 5)

    assert row == Entry(5, "s", 9, given["message"], given["metadata"], [], None)


def test_a_param_with_a_key_twice_is_refused():
    """The error names the param."""
    with pytest.raises(EntryError, match="metadata: a key stands twice"):
        decode_member("metadata", Raw(b'{"a":{"b":1,"b":2}}'))


@pytest.mark.parametrize("depth", [40, 900])
def test_depth_is_told_by_who_looks_for_it(depth):
    """A deep value with a string like a key ends in a reason, not a crash."""
    text = b'{"source":"s","message":"\\":","metadata":{"a":%b%b}}'
    with pytest.raises(EntryError, match="nested too deep"):
        read_entry(Raw(text % (b"[" * depth, b"]" * depth)), 0)
