"""Hashes of tokens: the same for ever, whether of one or of a whole column."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch.column import Column
from pipeline.entry import Entry
from pipeline.store.tokens import block_tokens, hash_token, hash_tokens
from pipeline.wire.codec import batch_of

TOKEN_RUN = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
TEXT = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=40).map(str.encode),
    st.lists(
        st.sampled_from([b"Ab_1", b"12345", b"1234", b"x" * 63, b"y" * 64, b"z" * 130])
    ).map(b" ".join),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(TEXT, max_size=6))
def test_a_column_has_the_hashes_of_its_tokens(texts: list[bytes]) -> None:
    """Those of 0 left out."""
    tokens = [token.lower() for text in texts for token in TOKEN_RUN.findall(text)]

    hashes = hash_tokens(b"\n".join(texts))

    assert set(hashes.tolist()) == set(map(hash_token, tokens)) - {0}


def test_hashes_go_on_across_pieces() -> None:
    """A column is hashed in pieces that end between lines, however long these are."""
    lines = [b"word%d" % number * (number % 50) for number in range(20_000)]
    lines[77] = b"long" * 100_000

    hashes = hash_tokens(b"\n".join(lines))

    assert set(hashes.tolist()) == set(map(hash_token, lines)) - {hash_token(b"")}


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (b"a", 0x53C83C426D1D83A),
        (b"splitbrain", 0x7B373A351EEB44C3),
        (b"4bf92f3577b34da6a3ce929d0e0e4736", 0x71FF2E5C577ADEAF),
        (b"x" * 100, 0x320B8565B8F53DD8),
        (b"12345", 0x472EEF2ACA4461C9),
    ],
)
def test_hashes_never_change(token: bytes, expected: int) -> None:
    """They are stored in filters."""
    assert hash_token(token) == expected


@pytest.mark.parametrize("token", [b"0", b"1234", "é".encode(), "a1é".encode()])
def test_some_tokens_are_in_no_filter(token: bytes) -> None:
    """Short numbers, and what is looked for as a substring."""
    assert hash_token(token) == 0
    assert not len(hash_tokens(token))


def test_a_block_has_the_tokens_of_all_its_texts() -> None:
    """Tags, trace ids and metadata; keys, levels and sources are no text."""
    metadata: dict[str, Any] = {
        "key": "Value one",
        "deep": {"inner": ["two", {"x": "three"}], "n": 7},
        "number": 8,
    }
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    rows = [
        Entry(1, "source", 9, "static", metadata, ["tag"], trace),
        Entry(2, "source", 9, "static", {"key": "four", "deep": "five"}, [], None),
    ]
    batch = batch_of(rows).batch
    assert batch is not None

    found = block_tokens(batch, hash_tokens(b"v1\nfree text\n"))

    words = f"value one two three four five tag {trace} v1 free text".split()
    assert set(found.tolist()) == {hash_token(word.encode()) for word in words}


def test_other_trace_ids_are_texts() -> None:
    """Those of other systems' forms."""
    batch = batch_of([Entry(1, "s", 9, "m", {}, [], "Trace-77")]).batch
    assert batch is not None
    column: Column = batch.columns["trace_id"]
    assert column.kind.name == "TEXT"

    assert hash_token(b"trace") in block_tokens(batch, hash_tokens(b"")).tolist()
