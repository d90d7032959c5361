"""Questions that entries of `tests.query.stores` may answer: any tree of conditions."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from pipeline.query.syntax import (
    METADATA,
    Between,
    Compare,
    Condition,
    Exact,
    Exists,
    Field,
    Node,
    Not,
    Pair,
    Prefix,
    Regex,
    Substring,
    Text,
    Typed,
    all_of,
    any_of,
)

MINUTE = 60_000_000_000
WORDS = ["err", "Error", "error_x", "42", "7.0", "user-42", "서버", "서버에서", "é", ""]
KEYS = ["a", "b", "c", "a.b", "a.b.c", "err"]
Conditions = st.SearchStrategy[Condition]

times = st.sampled_from([-(1 << 63), (1 << 63) - 1, 0, 1, MINUTE, MINUTE + 1]) | (
    st.integers(0, 300).map(lambda n: n * MINUTE // 7)
)
texts = st.lists(
    st.sampled_from([*WORDS, "\n", "ERR\nor", "a", "A", "b", "\\", "\x00"]), max_size=4
).map(" ".join) | st.text(st.sampled_from("aA1._-\n é"), max_size=6)

_words = st.sampled_from([*WORDS[:-1], "e", "x", "t-1", "ab" * 16, "AB" * 16, "a b"])
_filled = _words | texts.filter(bool)
_parts = st.sampled_from(
    ["e", "er", "ERR", "4", "r-4", "_", ".", " ", "서", "\n", "0.0"]
)
_patterns = st.sampled_from(
    [
        *("err", "^err", "r$", "^$", "[Ee]rr(or)?", "(?i)ERR", r"\d+", r"\d{2}", "a.b"),
        *("(?s)r.o", "(?m)^or", "(?m)R$", r"\bA", "서버|42", "é+", r"\W\n", "x|y", "$"),
        *(r"\s", "[^a]", "(?i)error_[a-z]", "r-4.*", "(?:)", r"\x00", "^(api|web)"),
    ]
)
_literals = st.sampled_from(["7", "7.0", "-7", "0.5", "true", "false", "null", "NaN"])
_large = st.sampled_from(["9007199254740993", "18446744073709551615", "Infinity"])
_numbers = st.sampled_from(
    [
        *(7, 7.0, 0, -7, 0.5, 6.5, 8, -9.5, float("inf"), float("-inf")),
        *(1 << 53, (1 << 53) + 1, 2.0**53, (1 << 64) - 1, 1 << 63, -(1 << 63)),
    ]
)
_names = st.sampled_from(
    ["api", "Api", "web\n1", "a\\nb", "err", "a b", "t-1", "T", ""]
)


def compared(bounds: st.SearchStrategy[Any]) -> Conditions:
    """Comparisons with such bounds, and ranges of them."""
    two = st.tuples(bounds, bounds).map(sorted)
    one = bounds.flatmap(lambda end: st.sampled_from([(end, None), (None, end)]))
    ranges = st.builds(
        lambda ends, low, high: Between(*ends, low, high),
        two | one,
        st.booleans(),
        st.booleans(),
    )
    return st.builds(Compare, st.sampled_from(["<", "<=", ">", ">="]), bounds) | ranges


anywhere: st.SearchStrategy[Any] = st.one_of(
    _words.map(Text),
    _filled.map(Text),
    (_filled | _parts).map(Prefix),
    (_filled | _parts).map(Substring),
    _filled.map(Exact),
    _patterns.map(Regex),
)
_in_names: Conditions = st.one_of(
    _names.map(Text),
    _names.filter(bool).map(Prefix),
    (_names.filter(bool) | _parts).map(Substring),
    _patterns.map(Regex),
    compared(_names),
    st.just(Exists()),
)
_in_texts: Conditions = st.one_of(
    anywhere, st.just(Text("")), compared(texts), st.just(Exists())
)
_in_metadata: Conditions = st.one_of(
    _in_texts, (_literals | _large).map(Typed), compared(_numbers)
)
_levels = st.sampled_from(["trace", "debug", "info", "WARN", "error", "fatal"])
_in_levels: Conditions = st.one_of(
    _levels.map(Text),
    st.builds(Compare, st.sampled_from(["<", "<=", ">", ">="]), _levels),
    st.builds(
        Between, st.sampled_from(["trace", "info"]), st.just("error"), st.booleans()
    ),
    st.just(Exists()),
)

leaves: st.SearchStrategy[Node] = st.one_of(
    anywhere,
    st.builds(Field, st.sampled_from(["source", "tag", "trace_id"]), _in_names),
    st.builds(
        Field, st.just("trace_id"), st.sampled_from(["ab" * 16, "AB" * 16]).map(Text)
    ),
    st.builds(Field, st.just("level"), _in_levels),
    st.builds(Field, st.just("timestamp"), compared(times)),
    st.builds(Field, st.just("message"), _in_texts),
    st.builds(Field, st.sampled_from(KEYS).map(METADATA.__add__), _in_metadata),
    st.builds(Pair, st.sampled_from(KEYS), _in_metadata),
)
trees: st.SearchStrategy[Node] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(all_of),
        st.lists(inner, min_size=1, max_size=3).map(any_of),
    ),
    max_leaves=5,
)
