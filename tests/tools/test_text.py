"""Log text as a reader gets it who obeys text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.hostile import CONTROLS, SECRETS
from pipeline.tools.text import clean, pairs, value_text


@given(st.text(), st.integers(1, 200))
def test_nothing_that_obeys_or_turns_is_left(text, characters):
    """Whatever was logged, and no more of it than was wanted."""
    found = clean(text + CONTROLS, characters)

    assert len(found) <= characters + len("… +9999999 characters")
    assert not set(found) & set("\x1b\x07\x9b\x00\x08\r\n\u202e\u2066\u200b")


def test_escape_sequences_go_whole():
    """What they say to a terminal is no text."""
    assert clean("\x1b]0;owned\x07\x1b[31mred\x1b[0m", 100) == "red"


@pytest.mark.parametrize("begin", ["\x1b]0;", "\x1bP", "\x1b_", "\x9d", "\x1b]8;;\x1b"])
def test_a_sequence_without_an_end_hides_nothing(begin):
    """What comes after its beginning is read as text."""
    assert clean(f"login {begin} failed for root", 100).endswith("failed for root")


def test_a_long_title_is_text():
    """A sequence that ends somewhere far away does not take what stands between."""
    found = clean(f"a \x1b]0;{'evidence ' * 40}\x07 b", 1_000)

    assert found.count("evidence") == 40


@pytest.mark.parametrize(
    "sequence", ["\x1b(B", "\x1b[1;31m", "\x9b0m", "\x1bP1q\x1b\\"]
)
def test_what_a_terminal_obeys_leaves_no_rest(sequence):
    """Character sets, colours and graphics."""
    assert clean(f"one{sequence}two", 100) == "onetwo"


@pytest.mark.parametrize(
    "sign",
    [chr(0xE0041), chr(0xE0100), "\ufe0f", "\u115f", "\u3164", "\u034f"],
)
def test_what_shows_nothing_is_gone(sign):
    """Tags and selectors of variants carry text that no person sees."""
    assert clean(f"a{sign}b", 10) == "ab"


def test_a_line_of_unicode_is_one_line():
    """Its ends are blanks, so that words do not become one."""
    assert clean("one\u2028two\u0085three", 100) == "one two three"


def test_a_cut_says_how_much_is_missing():
    """In characters."""
    assert clean("x" * 5_000, 10) == "xxxxxxxxxx… +4990 characters"


def test_a_secret_at_the_cut_is_masked():
    """Though what is left of it would not look like one."""
    text = "a" * 20 + f" Bearer {SECRETS[2]}"

    assert "eyJ" not in clean(text, 32)


def test_secrets_within_values_are_masked():
    """By their keys, however deep."""
    value = {"user": "ann", "login": {"password": "x1", "tries": [1, {"token": "y2"}]}}

    found = value_text("body", value, 200)
    assert "ann" in found
    assert "x1" not in found
    assert "y2" not in found


def test_many_keys_are_counted():
    """After the first ones."""
    found = pairs({f"key{number}": number for number in range(1_000)}, 60)

    assert found.startswith("key0=0 key1=1")
    assert found.endswith("keys")
    assert len(found) < 120


def test_what_went_wrong_is_said_first():
    """Where there is no room for all, long ones are left out."""
    fields = {
        "stack": "Error: at " * 100,
        "body": "x" * 500,
        "path": "/a",
        "error": "out of memory",
    }
    found = pairs(fields, 120)

    assert found.startswith("error=out of memory path=/a stack=Error")
    assert found.endswith("… +1 keys")


def test_an_id_of_the_metadata_is_not_the_entrys():
    """Nor its trace: a reader asks for what stands behind id= and trace=."""
    assert pairs({"id": 7, "trace": "x"}, 100) == "metadata.id=7 metadata.trace=x"
