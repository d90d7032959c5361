"""Params to a method's type, and what an error says about the ones that don't fit."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Raw

from pipeline.gateway.errors import RpcError
from pipeline.gateway.lenient import elements, find_flaw, members
from pipeline.gateway.methods.health import HealthParams
from pipeline.gateway.params import bind
from pipeline.query.requests import QueryRequest, StatsRequest


def bound(text, shape=QueryRequest):
    """The params as written, as the type."""
    read = members if text.startswith("{") else elements
    return bind(read(text.encode("utf-8", "surrogatepass")), shape)


def data_of(text, shape=QueryRequest):
    """The data of the error that these params lead to."""
    with pytest.raises(RpcError) as caught:
        bound(text, shape)
    assert caught.value.code == -32602
    return caught.value.data


def test_params_by_name():
    """What isn't given has its default."""
    assert QueryRequest(q="timeout", limit=5) == bound('{"limit":5,"q":"timeout"}')


def test_params_by_position():
    """In the order of the type, which rpc.discover shows."""
    assert QueryRequest(q="timeout", sources=["a"]) == bound('["timeout",["a"]]')


def test_too_many_params_by_position():
    """The error says how many there are, and their order."""
    data = data_of("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]")

    assert data["expected"].startswith("at most 14: q, sources, levels")
    assert data_of("[1]", HealthParams)["expected"] == "no params"


@pytest.mark.parametrize(
    ("text", "field", "problem", "expected"),
    [
        ('{"limit":99999}', "limit", "99999", "an integer from 1 to 10,000"),
        ('{"limit":"5"}', "limit", "got text", "an integer from 1 to 10,000"),
        ('{"limit":1.5}', "limit", "1.5", "an integer"),
        ('{"order":"up"}', "order", "'up'", '"asc" or "desc"'),
        ('{"sources":"a"}', "sources", "got text", "a list of at most 1,000"),
        ('{"sources":["a",1]}', "sources.1", "got integer", "text each"),
        ('{"since":[]}', "since", "got list", "text or an integer or a number"),
        ('{"q":"\\ud800"}', "q", "a lone surrogate", "UTF-8"),
        ('{"limit":NaN}', "limit", "NaN is no JSON", "a number"),
        ('{"limit":1e400}', "limit", "out of range", "an integer"),
    ],
)
def test_an_error_names_field_problem_and_what_is_right(text, field, problem, expected):
    """So that the caller needn't look anything up."""
    data = data_of(text)

    assert field == data["field"]
    assert problem in data["problem"]
    assert expected in data["expected"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (f'{{"since":{1 << 64}}}', "since"),
        (f'{{"q":"x","until":{-(1 << 63) - 1}}}', "until"),
        (f'{{"levels":["INFO",{1 << 70}]}}', "levels"),
    ],
)
def test_a_number_that_no_process_can_be_told_is_refused(text, field):
    """Workers are asked in msgpack, whose numbers have 64 bits."""
    data = data_of(text)

    assert (data["field"], data["problem"]) == (field, "a number beyond 64 bits")
    assert bound(f'{{"since":{(1 << 64) - 1}}}').since == (1 << 64) - 1


def test_an_unknown_param_is_refused_with_the_nearest_known():
    """A typo must not be a filter that filters nothing."""
    data = data_of('{"limt":5}')

    assert (data["field"], data["nearest"]) == ("limt", ["limit"])


def test_a_missing_param_is_named():
    """With what it may be."""

    class Shape(msgspec.Struct):
        name: str
        flag: bool = False

    assert data_of("{}", Shape) == {
        "field": "name",
        "problem": "missing",
        "expected": "text",
    }


def test_group_by_offers_its_choices():
    """An enumeration lists its values."""
    data = data_of('{"group_by":"host"}', StatsRequest)

    assert '"day", "hour", "level", "minute" or "source"' in data["expected"]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (b'{"a":"\\ud800"}', "a", "a lone surrogate"),
        (b'{"a":"\\\\ud800 \\ud83d\\ude00 \\udc00"}', "a", "a lone surrogate"),
        (b'{"m":{"x":[1,NaN]}}', "m.x.1", "NaN is no JSON"),
        (b'{"m":-Infinity}', "m", "-Infinity is no JSON"),
        (b'{"m":"\xff"}', "m", "invalid UTF-8 at byte 0"),
        (b'{"m":1e999}', "m", "a number out of range"),
        (b'{"m":"a\x00"}', "m", "invalid character (byte 2)"),
        (b'{"m":' + b"[" * 2000 + b"]" * 2000 + b"}", "m", "nested too deep"),
        (b'{"\\ud800":1}', "", "a lone surrogate"),
    ],
)
def test_a_flaw_is_found(text, place, problem):
    """By its path, however deep."""
    assert (place, problem) == find_flaw(Raw(text))[:2]
