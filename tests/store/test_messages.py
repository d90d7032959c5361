"""Messages as templates and variables: whatever they are, they come back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch.layout import Kind
from pipeline.batch.read import Texts, ends_of, read_texts
from pipeline.errors import FrameError
from pipeline.store import templates
from pipeline.store.messages import (
    ROWS_MIN,
    TEMPLATE_BYTES,
    MessageColumn,
    Messages,
    encode_messages,
)
from pipeline.store.templates import Ids, find_templates, pattern_ids, text_ids
from pipeline.store.tokens import hash_token
from tests.wire.test_fuzz import changed

WORD = st.sampled_from(
    ["user", "took", "0", "007", "42", "1e9", "\n", "\0", " ", "-", ":", "é", "", "가7"]
)
MESSAGE = st.one_of(
    st.text(max_size=40),
    st.lists(WORD, max_size=12).map(" ".join),
    st.integers(0, 10**20).map("job {0} of {0:05d} done".format),
)
NAMES = ["message", "variables", "templates", "unstructured"]
MESSAGES = st.builds(
    lambda often, once: often * ROWS_MIN + once,
    st.lists(MESSAGE, min_size=1, max_size=12),
    st.lists(st.text(max_size=40), max_size=6),
)


@dataclass
class Data:
    """A stored column."""

    data: bytes

    def read_ahead(self) -> None:
        """It is there."""

    def drop_ahead(self) -> bool:
        """Nothing ever was."""
        return False


def texts_of(messages: list[bytes]) -> Texts:
    """As a TEXT column has them."""
    lengths = np.array(list(map(len, messages)), np.int64)
    return Texts(lengths, b"".join(message + b"\n" for message in messages))


def encode(messages: list[bytes]) -> Messages:
    """One block, one nanosecond between rows."""
    return encode_messages(texts_of(messages), np.arange(len(messages)))


def column_of(encoded: Messages, data: dict[str, bytes] | None = None) -> MessageColumn:
    """The column that a reader makes of it."""
    found = {part.name: part.data for part in encoded.columns} | (data or {})
    optional = (found.get(name) for name in ("templates", "unstructured"))
    return MessageColumn(
        encoded.columns[0].values,
        Data(found["message"]),
        Data(found["variables"]),
        *(None if data is None else Data(data) for data in optional),
    )


@settings(max_examples=300, deadline=None)
@given(MESSAGES, st.randoms(use_true_random=False))
def test_messages_come_back_to_the_byte(messages: list[str], random) -> None:  # type: ignore[no-untyped-def]
    """All of them, and any of them."""
    random.shuffle(messages)
    raw = [message.encode() for message in messages]
    rows = [random.randrange(len(raw)) for _ in range(5)]

    column = column_of(encode(raw))

    assert column.texts_of(np.array(rows)).data == texts_of([raw[r] for r in rows]).data
    assert column.values(np.array(rows)) == [messages[row] for row in rows]
    assert column.texts.data == texts_of(raw).data
    assert column.texts.lengths.tolist() == list(map(len, raw))
    assert column.values() == messages


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=12), min_size=1, max_size=8))
def test_bytes_that_are_no_utf8_come_back(messages: list[bytes]) -> None:
    """0xFF, which stands for variables, is a byte like any other in a message."""
    raw = messages * ROWS_MIN

    assert column_of(encode(raw)).texts.data == texts_of(raw).data


@pytest.mark.parametrize(
    "message",
    [b"", b"x" * (1 << 20), b"a1 " * (1 << 18), b"\n" * 1000, b"7" * 70_000],
    ids=["empty", "1 MiB", "262,144 variables", "newlines", "one long number"],
)
def test_extreme_messages_come_back(message: bytes) -> None:
    """Alone and among others."""
    raw = [b"job 1", message, message] * ROWS_MIN

    assert column_of(encode(raw)).texts.data == texts_of(raw).data


def test_it_does_what_a_text_column_does() -> None:
    """So that whoever reads TEXT needs no other code."""
    raw = [b"job %d failed: \xc3\xa9\n" % number for number in range(20)]
    texts = texts_of(raw)

    column = column_of(encode(raw))

    assert column.kind is Kind.TEXT
    assert (column.name, column.count) == ("message", 20)
    assert column.text == texts.data
    assert column.ends.tolist() == ends_of(texts.lengths, 1).tolist()
    assert column.starts.tolist() == (column.ends - texts.lengths).tolist()
    assert read_texts(column.data, 20, terminated=True).data == texts.data
    column.forget()
    assert column.values(np.array([3])) == ["job 3 failed: é\n"]


def test_rows_of_a_template_are_found_without_their_text() -> None:
    """By codes, of which 0 is for rows without a template."""
    raw = [b"job %d done" % n if n % 2 else b"queue %d" % n for n in range(20)]
    raw[4] = b"only once"

    column = column_of(encode(raw))

    assert column.templates == [b"job \xff done", b"queue \xff"]
    assert column.rows_of(np.array([1])).tolist() == list(range(1, 20, 2))
    assert column.rows_of(np.array([0])).tolist() == [4]
    assert column.codes.tolist()[:6] == [2, 1, 2, 1, 0, 1]
    assert column.texts_of(np.array([4, 3])).data == b"only once\njob 3 done\n"


def test_rows_without_a_template_come_in_the_order_asked() -> None:
    """Also when they would be one stretch of the column, were they in its order."""
    raw = [b"alpha", b"beta", b"gamma", b"delta"]

    column = column_of(encode(raw))

    for rows in ([0, 1, 2, 3], [1, 2], [0, 2, 1, 3], [0, 0, 2], [3, 0]):
        expected = texts_of([raw[row] for row in rows]).data
        assert column.texts_of(np.array(rows)).data == expected


def test_patterns_count_rows_and_say_when() -> None:
    """In the order of codes, with the rows that have none."""
    raw = [b"job %d done" % n if n % 2 else b"queue %d" % n for n in range(20)]
    raw[4] = b"only once"

    encoded = encode(raw)

    assert encoded.patterns.counts.tolist() == [10, 9]
    assert encoded.patterns.first.tolist() == [1, 0]
    assert encoded.patterns.last.tolist() == [19, 18]
    assert encoded.patterns.rest == 1
    assert encoded.patterns.ids.tolist() == column_of(encoded).pattern_ids.tolist()


def test_refused_templates_leave_the_text() -> None:
    """When the table of all templates is full, only those that it has are used."""
    raw = [b"job %d done" % n if n % 2 else b"queue %d" % n for n in range(20)]
    known = encode(raw).patterns.ids[:1]

    def allowed(ids: Ids) -> np.ndarray:  # type: ignore[type-arg]
        return np.isin(ids, known)

    encoded = encode_messages(texts_of(raw), np.arange(20), allowed)

    assert encoded.templates == [b"queue \xff"]
    assert encoded.patterns.rest == 10
    assert column_of(encoded).texts.data == texts_of(raw).data


def test_too_many_variables_leave_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; ids are those of the templates all the same."""
    raw = [b"job %d of %d" % (n, n) for n in range(40)]
    ids = text_ids(texts_of(raw)).tolist()
    tokens = set(encode([*raw, b"x 12345"]).tokens.tolist())
    monkeypatch.setattr(templates, "VARIABLES_MAX", 79)

    encoded = encode(raw)

    assert encoded.patterns.rest == 40
    assert column_of(encoded).texts.data == texts_of(raw).data
    assert pattern_ids(column_of(encoded)).tolist() == ids
    assert {hash_token(b"job"), hash_token(b"of")} == set(encoded.tokens.tolist())
    assert hash_token(b"12345") in tokens


def test_long_templates_leave_the_text() -> None:
    """Documents would flood the table of all templates."""
    raw = [b"x " * (TEMPLATE_BYTES // 2 + 1)] * ROWS_MIN

    assert encode(raw).templates == []


@settings(max_examples=200, deadline=None)
@given(MESSAGES)
def test_ids_are_equal_whatever_the_block(messages: list[str]) -> None:
    """With codes, without, and of each message alone."""
    raw = [message.encode() for message in messages]

    ids = pattern_ids(column_of(encode(raw)))

    assert ids.tolist() == text_ids(texts_of(raw)).tolist()
    assert ids[0] == text_ids(texts_of(raw[:1]))[0]


@settings(max_examples=300, deadline=None)
@given(MESSAGES, st.sampled_from(NAMES), st.data())
def test_damaged_columns_are_refused_or_read(
    messages: list[str], name: str, data: st.DataObject
) -> None:
    """By FrameError; a reader has checked CRCs, these are the decoders behind them."""
    encoded = encode([message.encode() for message in messages])
    whole = {part.name: part.data for part in encoded.columns}.get(name, b"")
    damaged = changed(data, whole) if whole else data.draw(st.binary(max_size=30))

    with suppress(FrameError):
        column = column_of(encoded, {name: damaged})
        column.values()
        pattern_ids(column)


def test_variables_are_found_where_they_stand() -> None:
    """Place, bytes and digits of each, and the first of each row."""
    found = find_templates(b"a 12 b3\n\nx4y\n", np.array([7, 0, 3]))

    assert found.templates == [b"a \xff \xff", b"", b"\xff"]
    assert found.starts.tolist() == [2, 5, 9]
    assert found.sizes.tolist() == [2, 2, 3]
    assert found.digits.tolist() == [2, 1, 1]
    assert found.firsts.tolist() == [0, 2, 2, 3]


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_some_rows_of_a_long_block_come_back(seed: int) -> None:
    """Few rows, many, and few again: of templates whose values begin or end alike."""
    kinds = [b"as %d ago", b"id a%d9 as x%d", b"%dms", b"at 10.0.0.%d:80, %dus", b"no"]
    draw = np.random.default_rng(seed)
    drawn = draw.integers(0, 1000, (2_000, 3)).tolist()
    raw = []
    for kind, one, two in drawn:
        text = kinds[kind % len(kinds)]
        raw.append(text % (one, two)[: text.count(b"%")])
    column = column_of(encode(raw))
    for count in (1, 40, 1_900, 3, 500):
        rows = np.sort(draw.choice(len(raw), count, replace=False))
        right = b"".join(raw[row] + b"\n" for row in rows.tolist())
        assert column.texts_of(rows).data == right


def test_columns_never_change() -> None:
    """They are stored; what differs between rows is tested beside its own layout."""
    raw = [b"job 1 done", b"free text", b"queue 7", b"job 22 done", b"queue 9"]

    found = {part.name: (part.kind, part.data) for part in encode(raw).columns}

    assert found["message"] == (64, bytes.fromhex("010100020102"))
    assert found["templates"] == (
        66,
        b"\x02\0\0\0\x01\x0a\x07job \xff done\nqueue \xff\n",
    )
    assert found["unstructured"] == (67, b"\x01\x09free text\n")
    assert found["variables"][0] == 65


@pytest.mark.parametrize("rows", [7, 700])
def test_rows_of_a_long_block_come_back(rows: int) -> None:
    """In the order that was asked, with and without a template, few or many."""
    raw = [
        b"rare %s" % (b"x" * (n % 40)) + bytes([97 + n % 26]) * 3
        if n % 3 == 0
        else b"job ord_%d of %04x took %d ms" % (n, n, n * n)
        for n in range(9_000)
    ]
    places = np.random.default_rng(rows).integers(0, len(raw), rows)
    column = column_of(encode(raw))

    found = column.texts_of(places)

    assert found.data == texts_of([raw[place] for place in places.tolist()]).data
    assert column.texts.data == texts_of(raw).data
