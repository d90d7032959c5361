"""Every form of the language has its words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from pipeline.query.parser import parse
from pipeline.query.wording import in_words
from tests.query.trees import trees


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "every entry"),
        ("timeout", 'some text has the word "timeout"'),
        ('"reset by peer"', 'some text has the phrase "reset by peer"'),
        ("time*", 'some text has a word that begins with "time"'),
        ("*out*", 'some text has "out", also within words'),
        ("/5\\d+/", "some text matches the pattern /5\\d+/"),
        ('="Reset"', 'some text has the word "Reset" in exactly this case'),
        ("level:error", 'level is "error"'),
        ("level:>=WARN", "the level is at least WARN"),
        ("source:api", 'source is "api"'),
        ("tag:x", 'a tag is "x"'),
        ("message:a", 'message has the word "a"'),
        ("metadata.ms:>10", "metadata.ms is more than 10"),
        ("metadata.ms:[1 TO 5}", "metadata.ms is at least 1 and less than 5"),
        ("metadata.user:*", "metadata.user is there"),
        ("metadata.n:7", "metadata.n is 7, or has that word"),
        ('metadata.n:""', "metadata.n is empty"),
        ("a -b", 'some text has the word "a" and not some text has the word "b"'),
        (
            "a (source:b OR source:c)",
            'some text has the word "a" and (source is "b" or source is "c")',
        ),
        (
            "-(a b)",
            'not (some text has the word "a" and some text has the word "b")',
        ),
        (
            "k:v",
            '(metadata.k has the word "v" or some text has the word "k:v")',
        ),
        (
            "timestamp:>=2026-01-01",
            "timestamp is at least 2026-01-01T00:00:00.000000000Z",
        ),
    ],
)
def test_words(text: str, words: str) -> None:
    """One way to say each."""
    assert in_words(parse(text)) == words


@settings(deadline=None)
@given(trees)
def test_any_tree_has_words(tree: object) -> None:
    """Nothing is left as it is written."""
    said = in_words(tree)  # type: ignore[arg-type]

    assert said
    assert "(frozen" not in said
