"""Matchers over values, columns and templates, each against the plain meaning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batch.layout import METADATA_PREFIX
from pipeline.entry import Entry
from pipeline.query.compile import range_of, text_matcher
from pipeline.query.conditions import (
    Between,
    Compare,
    Condition,
    Exact,
    Prefix,
    Regex,
    Substring,
    Text,
    Typed,
)
from pipeline.query.matchers import ALWAYS, NEVER
from pipeline.query.text import Needle, as_column
from pipeline.query.values import match_column, may_be_hex
from pipeline.store.templates import find_templates
from pipeline.store.tokens import hash_token, hash_tokens
from pipeline.wire.codec import batch_of
from tests.query.test_text import column

WORDS = [
    "user",
    "User42",
    "42",
    "a1b",
    "err_x",
    "é",
    "서버에서",
    "-",
    ":",
    "x",
    "\n",
    "7",
]
texts = st.lists(st.sampled_from(WORDS), max_size=5).flatmap(
    lambda words: st.sampled_from([" ", "", "."]).map(
        lambda between: between.join(words)
    )
)
some = texts.filter(bool)
textual = st.one_of(
    some.map(Text),
    some.map(Prefix),
    some.map(Substring),
    some.map(Exact),
    st.sampled_from(
        [
            *("user", "[0-9]+", "r 4", "r.4", "^user", "4$", r"\b42\b", "[a-z]1"),
            *("(?i)USER", r"x\n", r"\s7", "u.*4", "[^a]", "er$"),
        ]
    ).map(Regex),
)


def pass_by() -> None:
    """No limit is met."""


@given(textual, st.lists(texts, min_size=1, max_size=12))
def test_columns(condition: Condition, values: list[str]) -> None:
    """A whole column, and some of it, as value by value."""
    matcher = text_matcher(condition)
    right = [matcher.in_text(value.encode()) for value in values]
    among = np.arange(len(values)) % 3 == 1

    assert right == matcher.match(*column(values), None, pass_by).tolist()
    assert (among & right).tolist() == matcher.match(
        *column(values), among, pass_by
    ).tolist()
    for value, found in zip(values, right, strict=True):
        assert not found or matcher.may_be_in(value.encode())
        assert not found or matcher.needle in value.encode().lower()


@given(textual, st.lists(texts, min_size=1, max_size=12))
def test_templates(condition: Condition, values: list[str]) -> None:
    """What a template decides, each of its messages agrees with."""
    matcher = text_matcher(condition)
    data, ends = column(values)
    found = find_templates(data, np.diff(ends, prepend=-1) - 1)
    verdicts = matcher.judge(*as_column(found.templates))
    for value, code in zip(values, found.codes.tolist(), strict=True):
        match = matcher.in_text(value.encode())
        assert verdicts[code] != ALWAYS or match
        assert verdicts[code] != NEVER or not match


@given(textual, texts)
def test_tokens(condition: Condition, value: str) -> None:
    """A text that matches has all the tokens that a filter is asked for."""
    matcher = text_matcher(condition)
    held = set(hash_tokens(value.encode() + b"\n").tolist()) | {0}

    if matcher.in_text(value.encode()):
        assert held.issuperset(map(hash_token, matcher.tokens))


def test_words_without_digits_need_no_variable() -> None:
    """Static text decides them; numbers are always variables."""
    data, ends = as_column([b"user \xff logged in", b"user logged in"])

    def judged(text: str) -> list[int]:
        return text_matcher(Text(text)).judge(data, ends).tolist()

    assert judged("logged") == [2, 2]
    assert judged("user 42") == [1, 0]
    assert judged("user logged") == [0, 2]
    assert judged("42") == [1, 0]
    assert judged("missing") == [0, 0]


numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([(1 << 53) + n for n in (-1, 0, 1, 2, 3)]),
    st.sampled_from([(1 << 63) - 1, -(1 << 63), (1 << 63), (1 << 64) - 1, 10**40]),
    st.sampled_from([0.5, -0.5, 1e300, 2.0**53, 2.0**63, -(2.0**63), 0.0, -0.0]),
    st.sampled_from([math.inf, -math.inf]),
)
stored = st.one_of(
    st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(-3, 3), min_size=1),
    st.lists(st.sampled_from([(1 << 53) + n for n in range(-1, 4)]), min_size=1),
    st.lists(st.floats(width=64) | st.sampled_from([0.5, 2.0**53]), min_size=1),
    st.lists(st.booleans(), min_size=1),
    st.lists(
        st.sampled_from([7, 0.5, "7", True, None, [1, 8.5], {"a": 3}]), min_size=1
    ),
    st.lists(st.sampled_from([(1 << 64) - 1, (1 << 63), 5]), min_size=1),
    st.lists(texts, min_size=1),
)
compared = st.one_of(
    st.builds(Compare, st.sampled_from(["<", "<=", ">", ">="]), numbers | texts),
    st.builds(Between, numbers, numbers | st.none(), st.booleans(), st.booleans()),
    st.builds(Between, st.none() | texts, texts, st.booleans(), st.booleans()),
    st.sampled_from(["7", "-3", "0.5", "true", "null", "9007199254740993"]).map(Typed),
)


def stored_column(values: list[Any]) -> Any:
    """The column that a batch has of these values of metadata."""
    rows = [Entry(n, "s", 9, "m", {"k": v}, [], None) for n, v in enumerate(values)]
    batch = batch_of(rows).batch
    assert batch is not None
    return batch.columns[METADATA_PREFIX + "k"]


@given(compared, stored)
def test_values(condition: Condition, values: list[Any]) -> None:
    """Columns of any kind as value by value, exactly."""
    matcher = text_matcher(condition)
    right = [matcher.matches(value) for value in values]

    found = match_column(stored_column(values), matcher, None, None, pass_by)
    assert right == found.tolist()


@given(st.builds(Compare, st.sampled_from(["<", "<=", ">", ">="]), numbers), numbers)
def test_compare(condition: Compare, value: float) -> None:
    """One value as Python compares, which is exact."""
    right = {
        "<": value < condition.value,
        "<=": value <= condition.value,
        ">": value > condition.value,
        ">=": value >= condition.value,
    }
    assert right[condition.op] == range_of(condition).holds(value)


def test_borders_of_needles() -> None:
    """A word, the beginning of one, a part, and one in its case."""
    assert not Needle("time").found_in(b"timeout")
    assert Needle("Time", right=False).found_in(b"timeout")
    assert not Needle("out", right=False).found_in(b"timeout")
    assert Needle("meo", left=False, right=False).found_in(b"tiMEout")
    assert not Needle("Time", exact=True).found_in(b"time")
    assert Needle("time", exact=True).found_in(b"Time time")


def test_what_can_stand_in_hex_digits() -> None:
    """Lower-case digits, and at most 32 of them; the empty needle can anywhere."""
    assert may_be_hex(b"")
    assert may_be_hex(b"dead42")
    assert may_be_hex(b"a" * 32)
    assert not may_be_hex(b"a" * 33)
    assert not may_be_hex(b"splitbrain")
    assert not may_be_hex(b"ab\n")
