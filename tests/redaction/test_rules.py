"""Secrets in log text, by rules that Python and JavaScript share."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.redaction import MASK, is_secret_key, masked

ROOT = Path(__file__).parents[2]


def test_node_has_the_same_rules():
    """`make config` copies them."""
    ours = ROOT / "pipeline" / "redaction.json"
    theirs = ROOT / "node" / "src" / "collectors" / "redaction.json"

    assert ours.read_text() == theirs.read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter2 next", f"password={MASK} next"),
        ('{"apiKey": "abc", "n": 1}', f'{{"apiKey": {MASK}, "n": 1}}'),
        ("Authorization: Bearer abcdefghijklmnop", f"Authorization: {MASK}"),
        ("card 4111 1111 1111 1111 ok", f"card {MASK} ok"),
        ("AKIAABCDEFGHIJKLMNOP was used", f"{MASK} was used"),
        ("postgres://app:s3cret@db/x", f"postgres://app:{MASK}@db/x"),
    ],
)
def test_what_has_the_form_of_a_secret_is_masked(text, expected):
    """Whatever stands around it."""
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "order 4111 1111 1111 1112 placed",  # the sum is wrong
        "took 1234567890123 ns",
        "the cooking took long",
        "request 7 of 12 failed",
    ],
)
def test_what_only_looks_like_one_stays(text):
    """Numbers that are no cards, words that are no names of secrets."""
    assert masked(text) == text


@pytest.mark.parametrize("key", ["password", "DB_PASSWORD", "x-api-key", "Set-Cookie"])
def test_keys_that_name_secrets(key):
    """In any writing."""
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["path", "tokens", "keyboard", "author"])
def test_keys_that_do_not(key):
    """Though they begin like one."""
    assert not is_secret_key(key)
