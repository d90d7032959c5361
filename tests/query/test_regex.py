"""Regular expressions over columns of text, and what a pattern needs."""

from __future__ import annotations

import numpy as np
import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import QueryError
from pipeline.query.literals import traits_of
from pipeline.query.matchers import Expression
from pipeline.query.regex import Pattern
from tests.query.test_text import column

PATTERNS = [
    *("a", "b+a", "^a", "a$", "^$", "^", r"\ba\b", r"\Ba", r"a\s+b", "[^a]b", "a|^b"),
    *("(?i)AB", "(?s)a.b", "(?m)^b$", r"\Aa", r"b\z", "a*", "x*", r"(?:ab)", "b{2}"),
    *(r"a[\s\S]*b", "(a|b)1", "[.]", "[]a]1", r"\.1", "é.", "[[:digit:]]a", "a.*b", ""),
    *("[[:]?a$", r"[[:. ]\B", "[[:]*^1"),
]
texts = st.text(st.sampled_from("aAbB1. \né"), max_size=8)


def pass_by() -> None:
    """No limit is met."""


@given(st.sampled_from(PATTERNS), st.lists(texts, min_size=1, max_size=30))
def test_as_each_value_alone(pattern: str, values: list[str]) -> None:
    """A search over all values at once finds what one in each finds."""
    plain = re2.compile(pattern)
    right = [plain.search(value) is not None for value in values]

    assert right == Pattern(pattern).match(*column(values), pass_by).tolist()


def test_a_hit_behind_many_in_its_value() -> None:
    """The search goes on at the next value, with or without a newline in one."""
    for first in ("a" * 20, "a\n" * 20):
        found = Pattern("a").match(*column([first, "b", "xa", "", "a"]), pass_by)

        assert found.tolist() == [True, False, True, False, True]


def test_a_second_hit_takes_nothing_of_the_next_value() -> None:
    """A value is searched from its first byte, wherever hits before it ended."""
    found = Pattern("[^a]0").match(*column(["x0", "00:1"]), pass_by)

    assert found.all()


@given(
    st.lists(
        st.sampled_from([*"ab1.|()*+?^$", r"\.", "[ab]", "{2}", "(a|b)", "(?:1)"]),
        max_size=8,
    ),
    st.lists(texts, min_size=1, max_size=5),
)
def test_needs(parts: list[str], values: list[str]) -> None:
    """What a pattern is said to need, every value that matches has."""
    pattern = "".join(parts)
    options = re2.Options()
    options.log_errors = False
    try:
        plain = re2.compile(pattern, options)
    except re2.error:
        return
    for value in values:
        if plain.search(value):
            needed = traits_of(pattern).literals
            assert all(any(text in value for text in texts) for texts in needed)


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("50[0-9] upstream [a-z-]+ failed", [("50",), (" upstream ",), (" failed",)]),
        (r"took \d+ms", [("took ",), ("ms",)]),
        ("ab?c", [("a",), ("c",)]),
        ("ab+c", [("ab",), ("c",)]),
        ("a{0,1}b", [("b",)]),
        ("a{1|b}", []),
        ("x(a|b)c", [("xa", "xb"), ("c",)]),
        ("(a|b)?c", [("c",)]),
        ("(a|b*)c", [("c",)]),
        ("((a|b)c)d", [("d",)]),
        ("a|b", []),
        ("(?:abc)", [("abc",)]),
        ("[.]com", [(".com",)]),
        (r"\pLx", []),
        ("(?i)kelvin", []),
        (r"\Qa.b\E", []),
    ],
)
def test_literals(pattern: str, literals: list[str]) -> None:
    """What stands plainly at the top level is needed."""
    assert literals == list(traits_of(pattern).literals)


@pytest.mark.parametrize("count", [2_000, 20_000])
def test_pieces(count: int) -> None:
    """Columns longer than a piece are searched whole."""
    values = [f"value {n} " + "x" * (n % 90) for n in range(count)]
    found = Pattern("7 x{3}$").match(*column(values), pass_by)

    right = [n for n in range(count) if n % 10 == 7 and n % 90 == 3 and n]
    assert right == np.flatnonzero(found).tolist()


@pytest.mark.parametrize("every", [1, 3, 7])
def test_needed_texts_come_first(every: int) -> None:
    """Values that have them are searched, alone where they are few, and no others."""
    rare = ["user 7 failed to", "7 to failed", "failed to 7", "users failing", ""]
    values = [rare[n % 5] if n % every == 0 else f"value {n}" for n in range(3_000)]
    among = np.arange(len(values)) % 11 > 0
    right = [value in rare[:3:2] for value in values]
    matcher = Expression("^(user 7 |)failed t[a-z]")
    data, ends = column(values)

    assert right == matcher.match(data, ends, None, pass_by).tolist()
    both = matcher.match(data, ends, among, pass_by)
    assert both.tolist() == (among & np.array(right)).tolist()


@pytest.mark.parametrize(
    "pattern", ["(", "a{99999}", "[z-a]", "(?<x", "(((a{99}){9}){9}){9}"]
)
def test_refused(pattern: str) -> None:
    """What RE2 doesn't take, or what would take long, is an error of the question."""
    with pytest.raises(QueryError, match="pattern"):
        Pattern(pattern)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """RE2 keeps its errors to itself."""
    with pytest.raises(QueryError):
        Pattern("(")

    assert capfd.readouterr() == ("", "")
