"""Search text and its tree."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import QueryError
from pipeline.query.caret import WIDTH, caret
from pipeline.query.parser import TERMS_MAX, parse, parse_query
from pipeline.query.pipes import Query
from pipeline.query.syntax import (
    And,
    Between,
    Compare,
    Exact,
    Exists,
    Field,
    Node,
    Not,
    Or,
    Pair,
    Prefix,
    Regex,
    Substring,
    Text,
    Typed,
    looks_typed,
)
from tests.query import trees

NOON = 1_795_348_800_000_000_000

PARSED = [
    ("", And()),
    ("  ", And()),
    ("*", And()),
    (" * ", And()),
    ("timeout", Text("timeout")),
    ("a b", And((Text("a"), Text("b")))),
    ("a AND b", And((Text("a"), Text("b")))),
    ('"a b"', Text("a b")),
    (r'"say \"hi\" C:\\x C:\y"', Text('say "hi" C:\\x C:\\y')),
    ('"a""b"', And((Text("a"), Text("b")))),
    ("err*", Prefix("err")),
    ('"conn re"*', Prefix("conn re")),
    ("*err*", Substring("err")),
    ('*"a b"*', Substring("a b")),
    ('="Exact Case"', Exact("Exact Case")),
    ("/time(d )?out/", Regex("time(d )?out")),
    (r"/a\/b+/", Regex("a/b+")),
    (r"/[\/]\\/", Regex(r"[/]\\")),
    ("/(?:api)/", Regex("api")),
    ("-/x+/ y", And((Not(Regex("x+")), Text("y")))),
    ("(/x+/)", Regex("x+")),
    ("/x+/y", Text("/x+/y")),
    ("-a", Not(Text("a"))),
    ("!a", Not(Text("a"))),
    ("NOT a", Not(Text("a"))),
    ('-"a b"', Not(Text("a b"))),
    ('-="A"', Not(Exact("A"))),
    ("-/healthz", Not(Text("/healthz"))),
    ("-*a*", Not(Substring("a"))),
    ("-(-a)", Not(Not(Text("a")))),
    ("NOT NOT a", Not(Not(Text("a")))),
    ("a OR b c", Or((Text("a"), And((Text("b"), Text("c")))))),
    ("(a OR b) c", And((Or((Text("a"), Text("b"))), Text("c")))),
    ("(a OR (b OR c))", Or((Text("a"), Text("b"), Text("c")))),
    ("or and not", And((Text("or"), Text("and"), Text("not")))),
    ('"OR"', Text("OR")),
    ("ORDER", Text("ORDER")),
    ("source:api", Field("source", Text("api"))),
    ("source:ap*", Field("source", Prefix("ap"))),
    ('source:="Api"', Field("source", Text("Api"))),
    ("level:Error", Field("level", Text("Error"))),
    ("level:3", Field("level", Text("3"))),
    ("level:>=WARN", Field("level", Compare(">=", "WARN"))),
    ("level:[warn TO *]", Field("level", Between("warn", None))),
    ('message:"a b"', Field("message", Text("a b"))),
    ('message:""', Field("message", Text(""))),
    ('message:="A"', Field("message", Exact("A"))),
    ("-tag:x", Not(Field("tag", Text("x")))),
    ("trace_id:*", Field("trace_id", Exists())),
    ("trace_id:>5", Field("trace_id", Compare(">", "5"))),
    ("timestamp:>=2026-11-22T12:00Z", Field("timestamp", Compare(">=", NOON))),
    ("metadata.user.id:7", Field("metadata.user.id", Typed("7"))),
    ('metadata.user.id:"7"', Field("metadata.user.id", Text("7"))),
    ('metadata."a b":c', Field("metadata.a b", Text("c"))),
    ("metadata.x:-1.5e3", Field("metadata.x", Typed("-1.5e3"))),
    ("metadata.x:true", Field("metadata.x", Typed("true"))),
    ("metadata.x:c:d", Field("metadata.x", Text("c:d"))),
    ("x:(1 OR y)", Or((Pair("x", Typed("1")), Pair("x", Text("y"))))),
    ("x:(-a:b (c))", And((Not(Pair("x", Text("a:b"))), Pair("x", Text("c"))))),
    ("x:>1", Pair("x", Compare(">", 1))),
    ("x:<=-1.5e3", Pair("x", Compare("<=", -1500.0))),
    ("x:>-Infinity", Pair("x", Compare(">", float("-inf")))),
    ('x:>"10"', Pair("x", Compare(">", "10"))),
    ("x:<word", Pair("x", Compare("<", "word"))),
    ("x:[1 TO 5}", Pair("x", Between(1, 5, high_included=False))),
    ("x:{ 1 TO * ]", Pair("x", Between(1, None, low_included=False))),
    ('x:["a b" TO c]', Pair("x", Between("a b", "c"))),
    ("x:/a+/", Pair("x", Regex("a+"))),
    ("x:*", Pair("x", Exists())),
    ("x:*a*", Pair("x", Substring("a"))),
    ("x:/a/b", Pair("x", Text("/a/b"))),
    ("x:[a,b] y:<nil>", And((Pair("x", Text("[a,b]")), Pair("y", Text("<nil>"))))),
    ("status:500", Pair("status", Typed("500"))),
    ("http://host:80/a?b=(c)", Pair("http", Text("//host:80/a?b=(c)"))),
    ("10.0.0.1:8080", Text("10.0.0.1:8080")),
    ("12:30:45.5", Text("12:30:45.5")),
    ("user-42", Text("user-42")),
    ("a -> b", And((Text("a"), Text("->"), Text("b")))),
    ("a - b", And((Text("a"), Text("-"), Text("b")))),
    ("--verbose", Text("--verbose")),
    ("a != b", And((Text("a"), Text("!="), Text("b")))),
    ("!", Text("!")),
    ("a|b", Text("a|b")),
    ("Error: failed", And((Text("Error:"), Text("failed")))),
    ("f(x)", Text("f(x)")),
    ("main ()", And((Text("main"), Text("()")))),
    (":) x)", And((Text(":)"), Text("x)")))),
    ('a"b', Text('a"b')),
    ("/api/users/", Text("/api/users/")),
    ("/a /b", And((Text("/a"), Text("/b")))),
    (
        "at Object.<anonymous> (/app/x.js:10:5)",
        And((Text("at"), Text("Object.<anonymous>"), Text("/app/x.js:10:5"))),
    ),
]

REFUSED = [
    ('say "hi', 4, "never closed"),
    ('x ""', 2, "nothing between"),
    ("(a", 0, "never closed"),
    ("x:(a", 2, "never closed"),
    ("OR a", 0, "missing"),
    ("a OR", 4, "missing"),
    ("a AND AND b", 6, "missing"),
    ("( )", 2, "missing"),
    ("source: x", 7, "needs a value"),
    ("(message:)", 9, "needs a value"),
    ("level:loud", 6, "no level"),
    ("level:>loud", 6, "no level"),
    ("level:e*", 6, "whole names"),
    ("level:[fatal TO info]", 6, "after its end"),
    ("timestamp:5", 10, "only be compared"),
    ("timestamp:>now", 10, "no ISO 8601"),
    ("a *b", 2, "by its end"),
    ('a *"b"', 2, "by its end"),
    ("a*b", 0, "a star stands"),
    ("**", 0, "a star stands"),
    ("a *", 2, "alone is everything"),
    ('"a"*b', 4, "end here"),
    ("/a(/", 0, "missing \\)"),
    ("x:/(?=a)/", 2, "no pattern"),
    ("/((a{1000}){1000})/", 0, "no pattern"),
    (r"/\pL{40}/", 0, "too long"),
    ("/var/ x", 0, "a path or a pattern"),
    ("a && b", 2, "no operator"),
    ("a || b", 2, "no operator"),
    ("(a || b)", 3, "no operator"),
    ("(a | b)", 3, "within parentheses"),
    ("took:> 5", 6, "needs a value"),
    ("took:>5s", 6, "no number"),
    ("took:>true", 6, "nothing is less"),
    ("took:>1e999", 6, "as large"),
    ("took:>" + "9" * 99, 6, "as long"),
    ("took:>5)", 7, "end here"),
    ("took:=5", 5, "no operator"),
    ("took:!5", 5, "no operator"),
    ("took:~5", 5, "no operator"),
    ("took:[1 5]", 8, "needs TO"),
    ("took:[1 TO 5", 12, "ends with"),
    ("took:[* TO *]", 5, "on one side"),
    ("took:[5 TO 1]", 5, "after its end"),
    ('took:[5 TO "6"]', 5, "number to a text"),
    ('metadata."x" 5', 12, "colon"),
    ("a\ud800", 1, "surrogate"),
    ("x " * (TERMS_MAX + 1), 2 * TERMS_MAX, "more than"),
    ("(" * 40 + "a" + ")" * 40, 33, "more than"),
    ("NOT " * 40 + "a", 132, "more than"),
    ("x:(" + "(" * 40 + "a", 35, "more than"),
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


@settings(max_examples=500, deadline=None)
@given(trees.trees)
def test_a_tree_is_what_its_text_means(tree: Node) -> None:
    """Whatever is in it."""
    assert tree == parse(str(tree))


@settings(max_examples=500, deadline=None)
@given(trees.queries)
def test_a_query_is_what_its_text_means(query: Query) -> None:
    """With its pipes."""
    assert query == parse_query(str(query))


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from('ab:"()-OR \\*|.1\n/[]<=~!'), max_size=20))
@example("/ab/ /a b/")
def test_any_text(text: str) -> None:
    """Any text is understood or refused with a position inside it."""
    is_understood(text)


def is_understood(text: str) -> bool:
    """Whether it is; if so, its print means the same, and if not, a caret shows it."""
    try:
        query = parse_query(text)
    except QueryError as refusal:
        error = refusal
    else:
        assert query == parse_query(str(query))
        return True
    assert 0 <= (-1 if error.position is None else error.position) <= len(text)
    assert caret(text, error.position or 0).count("\n") == 1
    return False


def test_ten_thousand_texts() -> None:
    """Noise and damaged queries end in a query or an error; both occur."""
    rng = random.Random(7)  # the same texts each time
    valid = [text for text, _ in PARSED] + trees.PIPED
    found = [is_understood(damaged(rng, rng.choice(valid))) for _ in range(9_000)]
    found += [is_understood(noise(rng)) for _ in range(1_000)]

    assert 1_000 < sum(found) < 9_000


def damaged(rng: random.Random, text: str) -> str:
    """A few characters out, in, exchanged or repeated."""
    for _ in range(rng.randint(1, 4)):
        place = rng.randint(0, len(text))
        end = min(len(text), place + rng.randint(0, 3))
        new = rng.choice(
            ["", text[place:end] * 3, rng.choice('"()|*/[]{}<>=!~-:\\ 5aé')]
        )
        text = text[:place] + new + text[end:]
    return text


def noise(rng: random.Random) -> str:
    """Bytes, read as UTF-8 where they are and as Latin-1 where not."""
    raw = rng.randbytes(rng.randint(0, 60))
    return raw.decode("latin-1" if rng.random() < 0.5 else "utf-8", errors="replace")


UNITS = [
    *("(", "((a)", "-", "NOT ", "! ", '"', '\\"', "/", "/a ", "/a\\", "a:", "a:("),
    *("a:[", "*", "a*", "|", "| stats ", "[", "x:[1 TO ", "x:<", "é", " ", "a "),
    *('"a"*', "()", "metadata.", 'metadata."', "a.", "| fields a,", "=", '="'),
    *("a(", ")", "a\n"),
]


@pytest.mark.parametrize("unit", UNITS)
def test_long_texts(unit: str) -> None:
    """16 KiB of anything; the instructions grow no faster than the text."""
    half, whole = (steps(unit * (size // len(unit))) for size in (8_192, 16_384))

    assert whole < 3 * half + 20_000


def steps(text: str) -> int:
    """Lines of Python that the parser runs."""
    count = 0

    def trace(*_: object) -> object:
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        is_understood(text)
    finally:
        sys.settrace(None)
    return count


def test_typed() -> None:
    """Numbers, booleans and null are values; anything else is text."""
    assert all(map(looks_typed, ["7", "-7.5", "1E9", "true", "false", "null", "NaN"]))
    assert not any(map(looks_typed, ["", "7a", "1.", ".5", "0x1", "True", "none", "٣"]))


@pytest.mark.parametrize(
    ("text", "position", "shown", "under"),
    [
        ("a && b", 2, "a && b", 2),
        ("a\nb\x1b[31m|", 3, "a b [31m|", 3),
        ("서버 *b", 3, "서버 *b", 5),
        ("e\u0301 *b", 3, "e\u0301 *b", 2),
        ("", 0, "", 0),
        ("ab", 2, "ab", 2),
        ("ab", 99, "ab", 2),
        ("x" * 200, 100, f"…{'x' * 70}…", 37),
        ("x" * 200, 0, f"{'x' * 70}…", 0),
        ("x" * 200, 200, f"…{'x' * 36}", 37),
    ],
)
def test_caret(text: str, position: int, shown: str, under: int) -> None:
    """The caret stands under the position, in a terminal's columns."""
    assert f"{shown}\n{' ' * under}^" == caret(text, position)


@given(st.text(max_size=300), st.integers(-5, 400))
def test_a_caret_is_short(text: str, position: int) -> None:
    """And nothing but text, whatever it shows."""
    first, second = caret(text, position).split("\n")

    assert len(second) <= WIDTH
    assert first.isprintable() or not text.isprintable()
    assert "\x1b" not in first


def test_no_numpy() -> None:
    """The gateway parses without loading numpy, and RE2 only for patterns."""
    program = (
        "import sys, pipeline.query.parser, pipeline.query.requests;"
        "pipeline.query.parser.parse_query('a took:>5 | stats count()');"
        "sys.exit(bool({'numpy', 're2'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
