"""Words and phrases over columns of text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.query.text import Ints, Needle, equal_values, find_folded
from tests.query.oracle import has_text, lower

PIECE = 1 << 18

FOUND = [
    ("timeout", "Connection TIMEOUT."),
    ("42", "user-42"),
    ("user-42", "the user-42 left"),
    ("10.0.0.1:8080", "from 10.0.0.1:8080 to"),
    ("connection reset", "connection reset by peer"),
    ("(bar.js:10)", "at foo (bar.js:10)"),
    ("서버", "서버에서"),
    ("é", "café"),
    ("a", "a"),
    ("1.1", "x1.1.1"),
    ("a\nb", "x a\nB y"),
]
NOT_FOUND = [
    ("timeout", "timeouts"),
    ("time", "timeout"),
    ("42", "user_42"),
    ("user-42", "user-421"),
    ("connection reset", "connection  reset"),
    ("api", "api에서"),
    ("É", "é"),
    ("a\nb", "a b"),
    ("[", "{"),
    ("@", "`"),
]


def column(values: list[str]) -> tuple[bytes, Ints]:
    """A TEXT column's bytes and the ends of its values."""
    encoded = [value.encode() for value in values]
    lengths = np.array([len(value) + 1 for value in encoded], np.int64)
    return b"".join(value + b"\n" for value in encoded), np.cumsum(lengths) - 1


@pytest.mark.parametrize(("word", "value"), FOUND)
def test_found(word: str, value: str) -> None:
    """Whole tokens are found, in any case of ASCII letters."""
    assert Needle(word).found_in(value.encode())
    assert Needle(word).match(*column(["", value, "-"])).tolist() == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(("word", "value"), NOT_FOUND)
def test_not_found(word: str, value: str) -> None:
    """Parts of tokens and other characters are not found."""
    assert not Needle(word).found_in(value.encode())
    assert not Needle(word).match(*column([value, value])).any()


texts = st.text(st.sampled_from("aAb1_. -\né서[{"), max_size=12)


@given(st.lists(texts, min_size=1, max_size=8), texts.filter(bool), st.data())
def test_match(values: list[str], word: str, data: st.DataObject) -> None:
    """A column's mask is what one sees value by value, also among some of them."""
    among = np.array([data.draw(st.booleans()) for _ in values])
    needle = Needle(word)
    right = [has_text(lower(value), lower(word)) for value in values]

    assert right == needle.match(*column(values)).tolist()
    assert right == [needle.found_in(value.encode()) for value in values]
    assert (among & right).tolist() == needle.match(*column(values), among).tolist()


@pytest.mark.parametrize("shift", range(-8, 3))
def test_border_of_pieces(shift: int) -> None:
    """A word is found wherever it lies between the pieces that are compared."""
    filler = "x" * (PIECE + shift - 1)
    values = [filler, "Timeout", filler + " timeouT", "", "timeouts"]

    assert np.flatnonzero(Needle("timeout").match(*column(values))).tolist() == [1, 2]


def test_few_among_many() -> None:
    """When few values are wanted, these are looked at one by one."""
    values = [f"user {number} of many" for number in range(5_000)]
    among = np.arange(5_000) % 1_000 == 7

    found = Needle("1007").match(*column(values), among)

    assert np.flatnonzero(found).tolist() == [1007]


def test_dense() -> None:
    """A text that is in a value many times counts once."""
    values = ["- - - - -", "", "-----", "x"] * 3

    found = Needle("-").match(*column(values))

    assert np.flatnonzero(found).tolist() == [0, 2, 4, 6, 8, 10]


@given(st.text(st.sampled_from("abA"), max_size=30), st.sampled_from(["a", "aba", "b"]))
def test_places(text: str, word: str) -> None:
    """All places are found, those that overlap too."""
    folded = text.lower()
    right = [at for at in range(len(text)) if folded.startswith(word, at)]

    assert right == find_folded(text.encode(), word.encode()).tolist()


@given(st.lists(st.text(max_size=3), min_size=1, max_size=6), st.text(max_size=3))
def test_equal_values(values: list[str], value: str) -> None:
    """Whole values are compared exactly."""
    data, ends = column(values)
    lengths = np.diff(ends, prepend=-1) - 1

    found = equal_values(data, ends, lengths, value.encode())

    assert [other == value for other in values] == found.tolist()
