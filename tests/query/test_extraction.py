"""Fields read out of one text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.limits import METADATA_BYTES, METADATA_KEY_BYTES, METADATA_KEYS, NESTING
from pipeline.query.extraction import reader_of
from pipeline.query.stages import Extract, Json, Logfmt


def read_json(text: str) -> dict[str, Any]:
    return reader_of(Json())(text)


def read_logfmt(text: str) -> dict[str, Any]:
    return reader_of(Logfmt())(text)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (' {"a": 1, "b": null}\n', {"a": 1, "b": None}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('{"": "x", "a.b": [1]}', {"": "x", "a.b": [1]}),
        ('{"a": "\\u00e9\\n"}', {"a": "é\n"}),
        ('{"a": 99999999999999999999}', {"a": 1e20}),
        ('{"a": [{"b": 18446744073709551616}]}', {"a": [{"b": 2.0**64}]}),
        ('{"a": 18446744073709551615}', {"a": 18446744073709551615}),
        ('{"a": 1' + "0" * 400 + "}", {}),
        ('{"a": 1e400}', {}),
        ('{"a": NaN}', {}),
        ('{"a": 1} x', {}),
        ('{"a": 1', {}),
        ('["a"]', {}),
        ("7", {}),
        ("", {}),
    ],
)
def test_json(text: str, fields: dict[str, Any]) -> None:
    """The whole text is an object, or there are no fields."""
    assert fields == read_json(text)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a=1 b=x", {"a": 1, "b": "x"}),
        ('failed: a="x y" in b="" ok', {"a": "x y", "b": ""}),
        (r'a="say \"hi\" C:\\x \n\q"', {"a": 'say "hi" C:\\x \nq'}),
        ("a= b=2", {"a": "", "b": 2}),
        ("a=b=c", {"a": "b=c"}),
        ('a="x"y b="never', {"a": '"x"y', "b": '"never'}),
        ("a=1 a=2", {"a": 2}),
        ("a=-0.50 b=1e3 c=007", {"a": -0.5, "b": "1e3", "c": "007"}),
        ("a=+1 b=1. c=.5 d=-0", {"a": "+1", "b": "1.", "c": ".5", "d": 0}),
        ("a=123456789012345678", {"a": 123456789012345678}),
        ("a=1234567890123456789", {"a": "1234567890123456789"}),
        ("a=true b=null", {"a": "true", "b": "null"}),
        ('=x "q=1" a"b=2 c', {}),
    ],
)
def test_logfmt(text: str, fields: dict[str, Any]) -> None:
    """Pairs among words; what reads as a number is one."""
    assert fields == read_logfmt(text)


@pytest.mark.parametrize(
    ("pattern", "text", "fields"),
    [
        ("<a> <b>", "x y z", {"a": "x", "b": "y z"}),
        ("t=<a>,", "it=1,2,3", {"a": 1}),
        ("t=<a>,", "it=1", {}),
        ("<_>[<a>]<_>", "x [7] y", {"a": 7}),
        ("<a>", "", {"a": ""}),
        ("<a.b> x", " x", {"a.b": ""}),
        ("&lt;<a>&gt; &amp;lt;", "<1> &lt;", {"a": 1}),
        ("<a>서버<b>", "é서버", {"a": "é", "b": ""}),
    ],
)
def test_extract(pattern: str, text: str, fields: dict[str, Any]) -> None:
    """Each name takes all up to the text behind it; all of them match, or none."""
    assert fields == reader_of(Extract(pattern))(text)


def test_wanted_fields() -> None:
    """Those that are named, and of these the ones that are asked for."""
    stage = Json("message", ("a", "b.c"), "x_")
    text = '{"a": 1, "b": {"c": 2}, "d": 3}'

    assert reader_of(stage)(text) == {"x_a": 1, "x_b.c": 2}
    assert reader_of(stage, {"x_b.c", "d"})(text) == {"x_b.c": 2}
    assert reader_of(Json(), {"d", "e"})(text) == {"d": 3}
    assert reader_of(Logfmt(prefix="x"), {"xa"})("a=1 xa=2") == {"xa": 1}
    assert reader_of(Extract("<a> <b>"), {"b"})("1 2") == {"b": 2}


def test_bounds() -> None:
    """Of nesting, of the number of fields, of names and of values."""
    deep = '{"a":' * NESTING + "1" + "}" * NESTING
    many = {f"k{n}": n for n in range(METADATA_KEYS + 5)}
    long = {"k" * METADATA_KEY_BYTES: 1, "k" * METADATA_KEY_BYTES + "k": 2}
    large = {"a": "x" * METADATA_BYTES, "b": "x" * (METADATA_BYTES + 1), "c": 1}

    assert read_json(deep)
    assert read_json('{"a":' + deep + "}") == {}
    assert read_json('{"a":' * 5_000 + "1" + "}" * 5_000) == {}
    assert list(read_json(json.dumps(many))) == list(many)[:METADATA_KEYS]
    assert len(read_logfmt(" ".join(f"{k}=1" for k in many))) == METADATA_KEYS
    assert list(read_json(json.dumps(long))) == ["k" * METADATA_KEY_BYTES]
    assert list(read_json(json.dumps(large))) == ["a", "c"]
    assert read_json(json.dumps({"a": [0.5] * 60_000, "b": 1})) == {"b": 1}
