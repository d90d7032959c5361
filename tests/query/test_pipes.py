"""Pipes of a search text, and what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.entry import Entry
from pipeline.errors import QueryError
from pipeline.query.names import NAMES_MAX
from pipeline.query.parser import parse, parse_entries, parse_query
from pipeline.query.pipe_parser import PIPES_MAX
from pipeline.query.pipes import (
    Call,
    Fields,
    Histogram,
    Limit,
    Patterns,
    Pipe,
    Query,
    Sort,
    SortKey,
    Stats,
    Top,
    Uniq,
    age_text,
    columns_of,
    resolve_field,
)
from pipeline.query.requests import FieldError
from pipeline.query.stages import Extract, Json, Logfmt, Where
from pipeline.query.suggest import nearest
from pipeline.query.syntax import And, Pair, Text
from pipeline.query.tables import rank
from tests.query.stores import Asker, append

MINUTE = 60_000_000_000

PIPES = [
    ("stats count()", Stats((), (Call("count"),))),
    ("stats count(a)", Stats((), (Call("count", "a"),))),
    ("stats by a count()", Stats(("a",), (Call("count"),))),
    ("stats by (a, b) count()", Stats(("a", "b"), (Call("count"),))),
    ("stats by(a)count()", Stats(("a",), (Call("count"),))),
    ("stats count() by (a)", Stats(("a",), (Call("count"),))),
    ("stats sum(a) avg(b)", Stats((), (Call("sum", "a"), Call("avg", "b")))),
    ("stats p95(a) as x, rate()", Stats((), (Call("p95", "a", "x"), Call("rate")))),
    ("stats max( a ) as x", Stats((), (Call("max", "a", "x"),))),
    ('stats count("a b")', Stats((), (Call("count", "a b"),))),
    ('stats min(metadata."a b")', Stats((), (Call("min", "metadata.a b"),))),
    ("histogram", Histogram()),
    ("histogram 90s", Histogram(90_000_000_000)),
    ("histogram 1m by level", Histogram(MINUTE, "level")),
    ("histogram by (level)", Histogram(None, "level")),
    ("top path", Top(10, "path")),
    ("top 5 metadata.path", Top(5, "metadata.path")),
    ("patterns", Patterns(20)),
    ("patterns 7", Patterns(7)),
    ("uniq source", Uniq("source")),
    ("fields a,b , c", Fields(("a", "b", "c"))),
    ('fields "by", "é |"', Fields(("by", "é |"))),
    ("sort a desc, b asc, c", Sort((SortKey("a", True), SortKey("b"), SortKey("c")))),
    ("sort count() desc", Sort((SortKey("count()", True),))),
    ("fields p95(a.b)", Fields(("p95(a.b)",))),
    ("limit 10", Limit(10)),
    ("json", Json()),
    ("json from payload", Json("payload")),
    ("json fields (a, b.c)", Json("message", ("a", "b.c"))),
    ('json prefix "x_" from a', Json("a", (), "x_")),
    ("logfmt fields(a) prefix x", Logfmt("message", ("a",), "x")),
    ('extract "<ip> - <_>"', Extract("<ip> - <_>")),
    (
        'extract "&lt;<a>&gt;" from metadata."b c"',
        Extract("&lt;<a>&gt;", "metadata.b c"),
    ),
    ("filter b", Where(Text("b"))),
    ("where b", Where(Text("b"))),
    ("filter *", Where(And())),
]

REFUSED = [
    ("a |", 3, "missing"),
    ("a | | b", 4, "missing"),
    ("a | stats", 9, "needs a function"),
    ("a | stats by (x)", 16, "needs a function"),
    ("a | stats by (x count()", 16, "a \\) is missing"),
    ("a | stats by () count()", 14, "a name is missing"),
    ("a | stats count(),", 18, "a function is missing"),
    ("a | stats count", 15, "needs parentheses"),
    ("a | stats sum(a b)", 16, "a \\) is missing"),
    ("a | stats count() as", 20, "a name is missing"),
    ("a | stats by (n) count() as n", 10, "two columns"),
    ("a | stats count() | sort cuont()", 30, "the end of the pipe"),
    ("a | stats count() | sort avg(x)", 20, "no column"),
    ("a | stats count() as n | fields m", 25, "no column"),
    ("a | stats count() as n, p50(x) | fields n | sort p50", 44, "no column"),
    ("a | top 5", 9, "a name is missing"),
    ("a | top 0 x", 8, "out of range"),
    ("a | top 10001 x", 8, "out of range"),
    ("a | limit", 9, "a number is missing"),
    ("a | limit 1.5", 10, "a number is missing"),
    ("a | limit 99999999999999999999", 10, "a number is missing"),
    ("a | histogram 1x", 14, "length of time"),
    ("a | histogram 0s", 14, "length of time"),
    ("a | histogram 999999999999w", 14, "length of time"),
    ("a | histogram by (a, b)", 14, "by one field"),
    ("a | fields", 10, "a name is missing"),
    ("a | fields a b", 13, "the end of the pipe"),
    ('a | fields ""', 11, "a name is missing"),
    ("a | uniq a, b", 10, "the end of the pipe"),
    ("a | Stats count()", 4, "no pipe is called 'Stats'"),
    ("a | limit 5 | top x", 14, "has to be the first"),
    ("a | limit 5 | json", 14, "json has to stand before limit"),
    ("a | top x | filter b", 12, "filter has to stand before top"),
    ("a | json form b", 9, "'form' can't stand here"),
    ("a | json fields b", 16, "a \\( is missing"),
    ("a | json fields (b", 18, "a \\) is missing"),
    ("a | json from", 13, "a name is missing"),
    ("a | json from level", 14, "level is no text"),
    ("a | json from b from c", 16, "'from' can't stand here"),
    ("a | json prefix " + "b" * 65, 16, "a prefix of 65 characters"),
    ("a | json, b", 8, "',' can't stand here"),
    ("a | extract b", 12, "a pattern in quotes"),
    ('a | extract "b"', 12, "the pattern has no name"),
    ('a | extract "<_>b"', 12, "the pattern has no name"),
    ('a | extract "<b><c>"', 12, "side by side"),
    ('a | extract "<b> <b>"', 12, "stands twice"),
    ('a | extract "<b c>"', 12, "no placeholder"),
    ('a | extract "<b> <"', 12, "never closed"),
    ('a | extract "' + "<_> " * 64 + '<b>"', 12, "more than 64 names"),
    ('a | extract "<b>" fields (b)', 18, "'fields' can't stand here"),
    ("a | filter", 10, "a condition is missing"),
    ("a | filter | json", 11, "a condition is missing"),
    ("a | filter (b", 11, "never closed"),
    ("a | json | filter ip:", 21, "needs a value"),
    ("a" + " | limit 1" * (PIPES_MAX + 1), 5 + 10 * PIPES_MAX - 1, "more than"),
    ("a | fields " + ", ".join("a" * (NAMES_MAX + 1)), 11, "more than"),
]


@pytest.mark.parametrize(("text", "pipe"), PIPES)
def test_a_pipe(text: str, pipe: Pipe) -> None:
    """Each form means its pipe, whatever stands before it, and prints as that form."""
    assert Query(Text("a"), (pipe,)) == parse_query(f"a | {text}")
    assert Query(And(), (pipe,)) == parse_query(f"|{text}")
    assert Query(And(), (pipe,)) == parse_query(f"* | {text} ")
    assert Query(And(), (pipe,)) == parse_query(f"| {pipe}")


@pytest.mark.parametrize(("text", "position", "problem"), REFUSED)
def test_refuse(text: str, position: int, problem: str) -> None:
    """What isn't understood is refused, with its position."""
    with pytest.raises(QueryError, match=problem) as caught:
        parse_query(text)

    assert position == caught.value.position


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("| stat count()", "write stats"),
        ("| WHERE x", "write filter"),
        ("| extarct x", "write extract"),
        ("| unpack_json", "write json"),
        ("| json form x", "write from"),
        ("| json feilds (x)", "write fields"),
        ("| head 5", "write limit 10"),
        ("| xyz", "pipes are stats, histogram"),
        ("| stats xyz(x)", "functions are"),
        ("| stats cuont()", "write count"),
        ("| stats count() as total | sort totl", "total? columns are total"),
    ],
)
def test_hints(text: str, hint: str) -> None:
    """The nearest name, or where the thing is found here."""
    with pytest.raises(QueryError) as caught:
        parse_query(text)

    assert hint in str(caught.value)


def test_several_pipes() -> None:
    """One table at most, and what is done with its rows."""
    query = parse_query("a | stats by (b) count() as n | sort n desc | limit 3")

    assert query.table == Stats(("b",), (Call("count", None, "n"),))
    assert query.row_pipes == (Sort((SortKey("n", True),)), Limit(3))
    assert parse_query("a | limit 3").table is None
    assert parse_query("a").row_pipes == ()


def test_a_key_behind_an_extraction_is_a_field() -> None:
    """Never text, as a key before it may be; the fields of entries stay theirs."""
    condition = parse_query("x:y | json | filter x:y -level:warn").stages[1]

    assert condition == parse_query("| filter metadata.x:y -level:warn").stages[0]
    assert parse_query("| filter x:y | json").stages[0] == Where(Pair("x", Text("y")))


def test_stages_come_first() -> None:
    """And are told from what is done with the entries that they leave."""
    query = parse_query("a | json | filter b:1 | top 3 b | limit 1")

    assert str(query.entries) == "a | json | filter metadata.b:1"
    assert (query.table, query.row_pipes) == (Top(3, "b"), (Limit(1),))
    assert parse_entries("a | json") == parse_query("a | json")


def test_a_filter_has_no_pipes() -> None:
    """Where only a filter is taken, a pipe is refused."""
    with pytest.raises(QueryError, match="no pipe can stand here") as caught:
        parse("a | limit 3")

    assert caught.value.position == 2


def test_columns() -> None:
    """Those that a text tells, in their order."""
    stats = Stats(("b",), (Call("p95", "c"), Call("count", None, "n")))

    assert columns_of(stats) == ("b", "p95(c)", "n")
    assert columns_of(Limit(3), ("b",)) == ("b",)
    assert columns_of(Fields(("n",)), ("b", "n")) == ("n",)
    assert columns_of(Top(3, "x")) == ("x", "count")
    assert columns_of(Histogram()) is None


def test_names() -> None:
    """A name that is no field is a key of the metadata."""
    assert resolve_field("source") == "source"
    assert resolve_field("tags") == resolve_field("tag") == "tag"
    assert resolve_field("path") == resolve_field("metadata.path") == "metadata.path"


def test_ages() -> None:
    """A width is written in the largest unit that it has a whole number of."""
    assert [
        age_text(n * 1_000_000) for n in (1, 1000, 90_000, 60_000, 604_800_000)
    ] == [
        "1ms",
        "1s",
        "90s",
        "1m",
        "1w",
    ]
    with pytest.raises(ValueError, match="whole number"):
        age_text(1)


def test_nearest() -> None:
    """A name is suggested when it is near, whatever its case."""
    assert nearest("EROR", ["WARN", "ERROR"]) == "ERROR"
    assert nearest("stat", ["stats", "sort"]) == "stats"
    assert nearest("zzz", ["stats"]) is None
    assert nearest("stats" * 99, ["stats"]) is None


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    """An engine over three entries."""
    rows = [
        Entry(n, "api", 9, f"took {n} ms", {"path": "/a", "ms": n}, [], None)
        for n in range(3)
    ]
    append(tmp_path / "logs.db", [[(0, rows)]])
    return Asker(tmp_path / "logs.db")


def test_tail_takes_fields(asker: Asker, tmp_path: Path) -> None:
    """And nothing else behind the filter and the stages."""
    rows = [Entry(9, "web", 17, "new", {"path": "/b", "ms": 9}, [], None)]
    append(tmp_path / "logs.db", [[(1, rows)]], first=10)
    found = asker.ask("tail", q="new | fields message, path", after_block=1)

    assert found["logs"] == [{"message": "new", "metadata": {"path": "/b"}}]
    with pytest.raises(FieldError, match="can't go through"):
        asker.ask("tail", q="new | limit 1")


@pytest.mark.parametrize("method", ["get_stats", "export"])
def test_who_takes_no_pipes(asker: Asker, method: str) -> None:
    """They do with the entries what they are called after."""
    with pytest.raises(FieldError, match="no pipe can stand here") as caught:
        asker.ask(method, q="took | limit 1")

    assert caught.value.caret == "took | limit 1\n     ^"


@pytest.mark.parametrize(
    "text", ["top 3 path", "stats by (path) count() as n, max(ms)"]
)
def test_columns_are_those_of_the_table(asker: Asker, text: str) -> None:
    """What a text tells of its columns is what the engine answers with."""
    (pipe,) = parse_query(f"| {text}").pipes
    table = asker.ask("query", q=f"took | {text}")["table"]

    assert tuple(table["columns"]) == columns_of(pipe)
    assert len(table["rows"]) == 1


@pytest.mark.parametrize("text", ["| histogram | sort x", "| patterns | fields countt"])
def test_columns_that_only_the_table_knows(asker: Asker, text: str) -> None:
    """Names that are none of them are refused."""
    with pytest.raises(FieldError, match="no column"):
        asker.ask("query", q=text)


def test_any_value_has_a_place_in_an_order() -> None:
    """Bytes inside of lists too: numbers, texts, truth, then the rest by its JSON."""
    values = [[b"b"], {"a": 1}, True, "a", 2, [b"a"]]

    assert sorted(values, key=rank) == [2, "a", True, [b"a"], [b"b"], {"a": 1}]
