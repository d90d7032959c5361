"""JSON cut at its first level: what passes, what doesn't, and what it costs."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.gateway.split import MalformedError, split_list, split_map

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)
SPACES = st.sampled_from([None, 1, "\t"])


@given(st.lists(JSON), st.booleans(), SPACES)
def test_a_list_is_cut_into_what_was_put_in(values, is_ascii, indent):
    """Each piece is the text of one element, NaN and lone surrogates included."""
    text = json.dumps(values, ensure_ascii=is_ascii, indent=indent)
    pieces = split_list(text.encode("utf-8", "surrogatepass"))

    again = [json.loads(piece.decode("utf-8", "surrogatepass")) for piece in pieces]
    assert repr(values) == repr(again)


@given(st.dictionaries(st.text(), JSON), st.booleans(), SPACES)
def test_a_map_is_cut_into_keys_and_values(values, is_ascii, indent):
    """Keys keep their quotes."""
    text = json.dumps(values, ensure_ascii=is_ascii, indent=indent)
    pieces = split_map(text.encode("utf-8", "surrogatepass"))

    again = {
        json.loads(key.decode("utf-8", "surrogatepass")): json.loads(
            value.decode("utf-8", "surrogatepass")
        )
        for key, value in pieces
    }
    assert repr(values) == repr(again)


@given(st.binary(max_size=60))
def test_any_bytes_are_cut_or_refused(text):
    """Nothing else comes out of it."""
    with suppress(MalformedError):
        split_list(text)


@given(JSON)
def test_what_json_takes_is_taken(value):
    """The grammar is JSON's, at any depth."""
    text = json.dumps([[value], {"a": value}]).encode()

    assert len(split_list(text)) == 2


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (b"", 0),
        (b"[1,]", 3),
        (b"[1}", 2),
        (b"[1 2]", 3),
        (b"[01]", 2),
        (b"[1]]", 3),
        (b"[tru]", 1),
        (b'{"a" 1}', 5),
        (b'{"a":}', 5),
        (b'{"a":1,}', 7),
        (b"{a:1}", 1),
        (b"{1:2}", 1),
        (b'["abc', 5),
        (b'["abc\\', 6),
        (b'["a\\"]', 6),
        (b"[[[[1}]]]", 5),
    ],
)
def test_what_is_no_json_is_refused_with_the_place(text, position):
    """So that a typo is found."""
    with pytest.raises(MalformedError, match=f"at byte {position};"):
        split_list(text)


@pytest.mark.parametrize(
    "text",
    [
        b'["' + b'\\"' * 500_000,
        b'["' + b"\\\\" * 500_000 + b"\\",
        b"[" * 3_000_000,
        b"[1," * 1_500_000,
    ],
)
def test_hostile_text_is_given_up_soon(text):
    """No stack overflows, and nothing is read again and again."""
    with pytest.raises(MalformedError):
        split_list(text)


def test_depth_is_no_concern_of_the_cut():
    """The piece that is too deep is refused later, by itself."""
    deep = b"[" * 100_000 + b"]" * 100_000

    assert [deep, b"1"] == split_list(b"[" + deep + b",1]")
