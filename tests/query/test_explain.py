"""explain: what is asked in words, what was passed over, and why nothing matches."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings

from pipeline.entry import Entry
from pipeline.level import Level, parse_level
from pipeline.query.answer import Limits
from pipeline.query.requests import FieldError
from tests.query.oracle import find
from tests.query.stores import Asker, append, blocks, trees

MINUTE = 60_000_000_000


def row(minute: int, source: str, level: int, **metadata: Any) -> Entry:
    """An entry with a tag of its source."""
    message = f"request {minute} of {source} timed out"
    return Entry(minute * MINUTE, source, level, message, metadata, [source], None)


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    """Three blocks: one of errors of api, one of web, one much later."""
    append(
        tmp_path / "a.db",
        [
            [(0, [row(n, "api", 17, user="anna", took=n) for n in range(5)])],
            [(0, [row(n, "web", 9, user="hanna") for n in range(3)])],
            [(0, [row(900 + n, "web", 9) for n in range(2)])],
        ],
    )
    return Asker(tmp_path / "a.db")


def reasons(reply: Any) -> dict[str, Any]:
    """The conditions by how they are written."""
    return {one["condition"]: one for one in reply["conditions"]}


def near(condition: Any) -> list[tuple[str, int]]:
    """The nearest values with their counts."""
    return [(one["value"], one["count"]) for one in condition["nearest"]]


def test_what_is_asked_and_passed_over(asker: Asker) -> None:
    """Each block is in one of the sums."""
    reply = asker.ask("explain", q="level:ERROR timed", sources=["api"], until=600 * 60)

    assert reply["query"] == "level:ERROR timed"
    assert reply["meaning"] == (
        'source is "api"; level is "ERROR" and some text has the word "timed"'
    )
    assert reply["blocks"]["total"] == 3
    assert reply["blocks"]["pruned"]["time"] == 1
    assert sum(reply["blocks"]["pruned"].values()) == 2
    assert reply["blocks"]["opened"] == 1
    assert reply["rows"] == {"total": 10, "scanned": 5, "matched": 5}
    assert reply["window"]["until"] == "1970-01-01T10:00:00.000000000Z"
    assert [step["name"] for step in reply["steps"]] == (
        ["plan", "headers", "open", "match", "page"]
    )
    assert reply["conditions"] == []


def test_an_unknown_level(asker: Asker) -> None:
    """Other methods refuse it; here is what may be meant."""
    reply = asker.ask("explain", q="level:ERRROR timed")

    assert near(reasons(reply)["level:ERRROR"]) == [("ERROR", 5)]
    with pytest.raises(FieldError):
        asker.ask("query", q="level:ERRROR timed")
    assert near(reasons(asker.ask("explain", levels=["inof"]))["levels:inof"]) == [
        ("INFO", 5)
    ]


def test_a_level_that_only_senders_misspell(asker: Asker) -> None:
    """Is taken in as ERROR, but a question is not understood in another way."""
    assert parse_level("EROR") == Level.ERROR

    reply = asker.ask("explain", q="level:EROR")

    assert near(reasons(reply)["level:EROR"]) == [("ERROR", 5)]
    assert reply["blocks"]["opened"] == 0
    for asked in ({"q": "level:>=EROR"}, {"levels": ["EROR"]}, {"min_level": "eror"}):
        with pytest.raises(FieldError, match="no level"):
            asker.ask("query", **asked)


@pytest.mark.parametrize(
    ("params", "condition", "found"),
    [
        ({"q": "source:apy"}, "source:apy", [("api", 5)]),
        ({"sources": ["WEB"]}, "sources: WEB", [("web", 5)]),
        ({"tags": ["wep"]}, "tags: wep", [("web", 5)]),
        (
            {"q": "metadata.user:anja"},
            "metadata.user:anja",
            [("anna", 5), ("hanna", 3)],
        ),
        ({"q": "user:ana"}, "user:ana", [("anna", 5), ("hanna", 3)]),
        ({"q": "took:>4"}, "took:>4", [("4", 1)]),
        ({"q": "took:<0"}, "took:<0", [("0", 1)]),
        ({"q": "took:[100 TO *]"}, "took:[100 TO *]", [("4", 1)]),
        ({"q": "took:{1 TO 2}"}, "took:{1 TO 2}", [("0", 1), ("4", 1)]),
        ({"q": "metadata.took:7"}, "metadata.took:7", [("2", 1), ("3", 1), ("4", 1)]),
        ({"q": "level:>ERROR"}, "level:>ERROR", [("ERROR", 5)]),
        ({"q": "level:<INFO"}, "level:<INFO", [("INFO", 5)]),
        (
            {"q": "timestamp:>2000-01-01"},
            "timestamp:>2000-01-01T00:00:00.000000000Z",
            [
                ("1970-01-01T00:00:00.000000000Z", None),
                ("1970-01-01T15:01:00.000000000Z", None),
            ],
        ),
        ({"q": "reques"}, "reques", [("*reques*", 10)]),
        ({"q": '="Request"'}, '="Request"', [("Request", 10), ("*Request*", 10)]),
        ({"q": "none"}, "none", []),
    ],
)
def test_the_nearest_values(
    asker: Asker, params: Any, condition: str, found: list[tuple[str, int]]
) -> None:
    """Each with how many entries have it."""
    one = reasons(asker.ask("explain", **params))[condition]

    assert one["count"] == 0
    assert sorted(near(one)) == sorted(found)


def test_an_unknown_key(asker: Asker) -> None:
    """The keys that it looks like are named."""
    one = reasons(asker.ask("explain", q="metadata.usr:anna"))["metadata.usr:anna"]

    assert one["hint"] == "no entry looked at has metadata.usr; near: metadata.user"


@pytest.mark.parametrize(
    ("q", "hint"),
    [
        ("user:>5", "none of the 8 values of metadata.user is a number"),
        ("tuk:>5", "no entry looked at has metadata.tuk"),
        ("tok:>5", "no entry looked at has metadata.tok; near: metadata.took"),
    ],
)
def test_a_comparison_with_what_is_no_number(asker: Asker, q: str, hint: str) -> None:
    """Is told from one with numbers that are all too small."""
    assert reasons(asker.ask("explain", q=q))[q]["hint"] == hint


def test_conditions_of_stages(asker: Asker) -> None:
    """Each alone, behind what reads its fields."""
    text = '"timed out" | extract "request <n> of" | filter n:>2 | filter n:<1'
    reply = asker.ask("explain", q=text)

    assert reply["meaning"].endswith("| filter metadata.n:<1")
    assert {one["condition"]: one["count"] for one in reply["conditions"]} == {
        '"timed out"': 10,
        '| extract "request <n> of" | filter metadata.n:>2': 4,
        '| extract "request <n> of" | filter metadata.n:<1': 2,
    }


def test_a_page_that_explains_itself(asker: Asker) -> None:
    """What it took, as `explain` would say; not if nobody asks."""
    asked = {"q": "level:ERROR timed", "sources": ["api"]}
    page = asker.ask("query", explain=True, **asked)["explain"]
    apart = asker.ask("explain", **asked)

    for name in ("query", "meaning", "window", "blocks", "rows", "conditions"):
        assert page[name] == apart[name]
    assert [step["name"] for step in page["steps"]] == (
        ["plan", "headers", "open", "match", "page"]
    )
    assert "explain" not in asker.ask("query", **asked)


def test_a_page_explains_why_it_is_empty(asker: Asker) -> None:
    """Counted or not, as entries or as a table; what it looks at for that is extra."""
    for params in ({}, {"count": "none"}):
        found = asker.ask("query", q="took:>9", explain=True, **params)["explain"]
        assert near(reasons(found)["took:>9"]) == [("4", 1)]
        assert found["rows"]["matched"] == 0
    text = "source:apy | top 3 user"
    found = asker.ask("search", query=text, explain=True)["explain"]
    assert near(reasons(found)["source:apy"]) == [("api", 5)]
    assert (found["query"], found["rows"]["scanned"]) == (text, 0)


def test_what_is_not_counted_is_not_told(asker: Asker) -> None:
    """A page that has enough stops; a table counts what it is made of."""
    page = asker.ask("query", q="timed", count="none", limit=1, explain=True)
    table = asker.ask("query", q="timed | stats by (source) count()", explain=True)

    assert page["explain"]["rows"]["matched"] is None
    assert page["explain"]["rows"]["scanned"] < 10
    assert table["explain"]["rows"]["matched"] == 10


def test_conditions_that_only_exclude_each_other(asker: Asker) -> None:
    """Alone, each has entries, in the same window."""
    reply = asker.ask("explain", q="source:web level:ERROR", until=600 * 60)

    assert {name: one["count"] for name, one in reasons(reply).items()} == (
        {"source:web": 3, "level:ERROR": 5}
    )


def test_a_limit_is_told_and_not_raised(asker: Asker, tmp_path: Path) -> None:
    """How far it came is what one asks for."""
    limited = Asker(tmp_path / "a.db", Limits(rows_scanned=4))
    reply = limited.ask("explain", q="timed took:>2")

    assert "more than 4 entries" in reply["stopped"]
    assert reply["rows"]["matched"] is None
    assert reply["conditions"] == []


@settings(max_examples=40, deadline=None)
@given(blocks, trees)
def test_it_counts_what_a_query_finds(rows: Any, tree: Any) -> None:
    """And each condition alone as if it were asked alone."""
    with TemporaryDirectory() as folder:
        stored = append(Path(folder) / "a.db", rows)
        asker = Asker(Path(folder) / "a.db")
        reply = asker.ask("explain", q=str(tree))
        assert reply["rows"]["matched"] == len(find(stored, tree))
        for one in reply["conditions"]:
            if one["count"] is not None:
                alone = asker.ask("query", q=one["condition"], limit=1)
                assert alone["count"] == one["count"]
