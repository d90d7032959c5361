"""Search text and its tree."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import QueryError
from pipeline.query.parser import TERMS_MAX, parse
from pipeline.query.syntax import (
    FIELDS,
    And,
    Field,
    Node,
    Not,
    Or,
    Pair,
    Text,
    Typed,
    all_of,
    any_of,
    looks_typed,
)

PARSED = [
    ("", And()),
    ("  ", And()),
    ("timeout", Text("timeout")),
    ("a b", And((Text("a"), Text("b")))),
    ("a AND b", And((Text("a"), Text("b")))),
    ('"a b"', Text("a b")),
    (r'"say \"hi\" C:\\x C:\y"', Text('say "hi" C:\\x C:\\y')),
    ('"a""b"', And((Text("a"), Text("b")))),
    ("-a", Not(Text("a"))),
    ("NOT a", Not(Text("a"))),
    ('-"a b"', Not(Text("a b"))),
    ("-/healthz", Not(Text("/healthz"))),
    ("-(-a)", Not(Not(Text("a")))),
    ("a OR b c", Or((Text("a"), And((Text("b"), Text("c")))))),
    ("(a OR b) c", And((Or((Text("a"), Text("b"))), Text("c")))),
    ("(a OR (b OR c))", Or((Text("a"), Text("b"), Text("c")))),
    ("or and not", And((Text("or"), Text("and"), Text("not")))),
    ('"OR"', Text("OR")),
    ("ORDER", Text("ORDER")),
    ("source:api", Field("source", Text("api"))),
    ("level:Error", Field("level", Text("Error"))),
    ("level:3", Field("level", Text("3"))),
    ('message:"a b"', Field("message", Text("a b"))),
    ('message:""', Field("message", Text(""))),
    ("-tag:x", Not(Field("tag", Text("x")))),
    ("metadata.user.id:7", Field("metadata.user.id", Typed("7"))),
    ('metadata.user.id:"7"', Field("metadata.user.id", Text("7"))),
    ('metadata."a b":c', Field("metadata.a b", Text("c"))),
    ("metadata.x:-1.5e3", Field("metadata.x", Typed("-1.5e3"))),
    ("metadata.x:true", Field("metadata.x", Typed("true"))),
    ("metadata.x:c:d", Field("metadata.x", Text("c:d"))),
    ("status:500", Pair("status", Typed("500"))),
    ("http://host:80/a?b=(c)", Pair("http", Text("//host:80/a?b=(c)"))),
    ("10.0.0.1:8080", Text("10.0.0.1:8080")),
    ("12:30:45.5", Text("12:30:45.5")),
    ("user-42", Text("user-42")),
    ("Error: failed", And((Text("Error:"), Text("failed")))),
    ("f(x)", Text("f(x)")),
    (":) x)", And((Text(":)"), Text("x)")))),
    ('a"b', Text('a"b')),
    (
        "at Object.<anonymous> (/app/x.js:10:5)",
        And((Text("at"), Text("Object.<anonymous>"), Text("/app/x.js:10:5"))),
    ),
]

REFUSED = [
    ('say "hi', 4, "never closed"),
    ('x ""', 2, "nothing between"),
    ("a - b", 2, "'-' needs"),
    ("a -", 2, "'-' needs"),
    ("a -> b", 2, "'-' needs"),
    ("--verbose", 0, "'-' needs"),
    ("(a", 0, "never closed"),
    ("a ()", 3, "missing"),
    ("OR a", 0, "missing"),
    ("a OR", 4, "missing"),
    ("a AND AND b", 6, "missing"),
    ("source: x", 7, "needs a value"),
    ("(message:)", 9, "needs a value"),
    ("level:loud", 6, "no level"),
    ("err*", 0, "operator"),
    ("a ~b", 2, "operator"),
    ("a | count", 2, "operator"),
    ("took:>5", 5, "operator"),
    ("metadata.took:>5", 14, "operator"),
    ('metadata."x" 5', 12, "colon"),
    ("a\ud800", 1, "surrogate"),
    ("x " * (TERMS_MAX + 1), 2 * TERMS_MAX, "more than"),
    ("(" * 40 + "a" + ")" * 40, 33, "more than"),
]


@pytest.mark.parametrize(("text", "tree"), PARSED)
def test_parse(text: str, tree: Node) -> None:
    """Each form of the language means its tree, and the tree prints as that form."""
    assert tree == parse(text)
    assert tree == parse(str(tree))


@pytest.mark.parametrize(("text", "position", "problem"), REFUSED)
def test_refuse(text: str, position: int, problem: str) -> None:
    """What isn't understood is refused, with its position."""
    with pytest.raises(QueryError, match=problem) as caught:
        parse(text)

    assert position == caught.value.position


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.sampled_from(
    ["OR", "AND", "NOT", "-", "->", "a b", 'a"', "\\", "x)", "(", "7", "true", "a:b"]
)
keys = st.from_regex(r"[^\W\d][\w.\-]{0,5}", fullmatch=True).filter(
    lambda key: key not in FIELDS and not key.startswith("metadata.")
)
typed = st.sampled_from(["7", "-0.5", "1e9", "true", "null", "NaN"])


def _valued(kind: type[Field | Pair], names: st.SearchStrategy[str]) -> object:
    return st.builds(kind, names, texts.map(Text) | typed.map(Typed))


leaves = st.one_of(
    texts.map(Text),
    _valued(Field, texts.map("metadata.".__add__)),
    st.builds(
        Field,
        st.sampled_from(["source", "tag", "trace_id", "message"]),
        texts.map(Text),
    ),
    _valued(Pair, keys),
    st.just(Field("level", Text("warning"))),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(all_of),
        st.lists(inner, min_size=1, max_size=3).map(any_of),
    ),
    max_leaves=8,
)


@given(trees)
def test_print_and_parse(tree: Node) -> None:
    """Every tree prints as a text that means the same tree."""
    assert tree == parse(str(tree))


def _refusal(text: str) -> QueryError | None:
    try:
        tree = parse(text)
    except QueryError as error:
        return error
    assert tree == parse(str(tree))
    return None


@given(st.text(st.sampled_from('ab:"()-OR \\*|.1\n'), max_size=20))
def test_any_text(text: str) -> None:
    """Any text is understood or refused with a position inside it."""
    refusal = _refusal(text)

    assert refusal is None or 0 <= (refusal.position or 0) <= len(text)


def test_typed() -> None:
    """Numbers, booleans and null are values; anything else is text."""
    assert all(map(looks_typed, ["7", "-7.5", "1E9", "true", "false", "null", "NaN"]))
    assert not any(map(looks_typed, ["", "7a", "1.", ".5", "0x1", "True", "none", "٣"]))


def test_no_numpy() -> None:
    """The gateway parses without loading numpy."""
    program = (
        "import sys, pipeline.query.parser, pipeline.query.requests;"
        "sys.exit('numpy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
