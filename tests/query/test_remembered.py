"""A question asked again: nothing is opened anew, and the answer is still right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.entry import Entry
from pipeline.query import cells
from pipeline.query.remembered import Bounded, Matches
from pipeline.store.kept import Kept
from pipeline.store.reader import Header
from tests.query.oracle import Stored
from tests.query.stores import Asker, append, ids, merge, settle

SECOND = 1_000_000_000


def entry(number: int, **changes: Any) -> Entry:
    """An entry at that many seconds, every tenth with a rare word."""
    word = "rare" if number % 10 == 0 else "usual"
    made = Entry(
        number * SECOND, "api", 9, f"a {word} message", {"n": number}, [], None
    )
    return made._replace(**changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs.db"


@pytest.fixture
def stored(path: Path) -> list[Stored]:
    """Three blocks of a hundred seconds each."""
    blocks = [[(0, list(map(entry, range(n, n + 100))))] for n in (0, 100, 200)]
    return append(path, blocks)


@pytest.fixture
def asker(path: Path, stored: list[Stored]) -> Asker:
    assert stored
    return Asker(path)


def ask(asker: Asker, **params: Any) -> tuple[list[str], int]:
    """The ids of the page, and how many blocks were opened for it."""
    budget = asker.engine.budget()
    asker.engine.answer("query", params, 0, budget)
    return ids([asker.ask("query", **params)]), budget.blocks


def test_a_question_asked_again_opens_nothing(asker: Asker) -> None:
    """Not for its count, nor for its page."""
    first, opened = ask(asker, q="rare")
    again, reopened = ask(asker, q="rare")

    assert (len(first), opened) == (30, 3)
    assert (again, reopened) == (first, 0)


def test_what_came_since_is_looked_at(asker: Asker, path: Path) -> None:
    """Only the new block is opened."""
    ask(asker, q="rare")
    append(path, [[(0, [entry(310)])]], first=301)

    found, opened = ask(asker, q="rare")

    assert (len(found), opened) == (31, 1)


def test_another_window_is_not_answered_with_the_whole(asker: Asker) -> None:
    """Blocks that are only in part within it are looked at."""
    ask(asker, q="rare")

    assert len(ask(asker, q="rare", since=0, until=150)[0]) == 15
    assert len(ask(asker, q="rare", since=95, until=250)[0]) == 15


def test_a_part_of_a_block_is_not_taken_for_all_of_it(asker: Asker) -> None:
    """The narrow window first, then all."""
    ask(asker, q="rare", since=95, until=250)

    assert len(ask(asker, q="rare")[0]) == 30


@pytest.mark.parametrize(
    "other",
    [
        {"q": "usual"},
        {"q": "rare", "levels": ["ERROR"]},
        {"q": "rare", "sources": ["web"]},
        {"q": "rare", "min_level": "WARN"},
        {"q": "rare", "tags": ["x"]},
        {"q": "rare", "trace_id": "t"},
    ],
)
def test_another_question_is_another(asker: Asker, other: dict[str, Any]) -> None:
    """Whatever parameter differs."""
    ask(asker, q="rare")

    found, _ = ask(asker, **other)

    assert len(found) == (100 if other == {"q": "usual"} else 0)


def test_the_text_of_a_search_tells_it_from_another(asker: Asker) -> None:
    """Its parameter has another name than that of a query."""
    counts = [
        asker.ask("search", query=text)["count"] for text in ("rare", "usual", "rare")
    ]

    assert counts == [30, 270, 30]


def test_other_fields_are_written_anew(asker: Asker) -> None:
    """Rows are kept by the fields that they have."""
    pages = [
        asker.ask("query", q="rare", limit=1, fields=fields)["logs"][0]
        for fields in (None, ["message"], ["metadata.n"], ["metadata.x"], None)
    ]

    assert [sorted(page.get("metadata", {})) for page in pages] == (
        [["n"], [], ["n"], [], ["n"]]
    )
    assert "source" not in pages[1]
    assert pages[4] == pages[0]


def test_pages_are_the_same_from_memory(asker: Asker) -> None:
    """Each entry once, in both orders."""
    for order in ("desc", "asc"):
        whole, _ = ask(asker, q="rare", order=order)
        found: list[str] = []
        cursor = None
        while True:
            page = asker.ask("query", q="rare", limit=7, order=order, cursor=cursor)
            found += ids([page])
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert found == whole


@pytest.mark.parametrize("state", ["compacted", "deleted"])
def test_blocks_that_took_others_place_are_looked_at(
    asker: Asker, path: Path, stored: list[Stored], state: str
) -> None:
    """What was deleted is not answered from memory."""
    ask(asker, q="rare")
    left = settle(path, stored, state)

    found, opened = ask(asker, q="rare")

    wanted = [each for each in left if "rare" in each.entry.message]
    assert len(found) == len(wanted)
    assert opened > 0


def test_long_questions_take_no_more_than_short_ones(asker: Asker) -> None:
    """What is kept of a question does not grow with its text, nor with its fields."""
    asker.ask("query", q="rare " + "-x" * 5000, fields=["metadata." + "y" * 200])
    headers = asker.engine._context.headers

    kept = [*headers.matches._asked, *headers.written._kept._values]
    assert max(len(repr(key)) for key in kept) < 400


def test_explain_looks_anew(asker: Asker) -> None:
    """What is remembered would explain nothing."""
    ask(asker, q="rare")

    assert asker.ask("explain", q="rare")["blocks"]["opened"] == 3


def test_a_merged_block_remembers_for_itself(asker: Asker, path: Path) -> None:
    """Its header is the key, not its number."""
    ask(asker, q="rare")
    merge(path, 0, 3)
    first, opened = ask(asker, q="rare")
    again, reopened = ask(asker, q="rare")

    assert (again, opened, reopened) == (first, 1, 0)


def test_another_file_is_another_store(tmp_path: Path) -> None:
    """Whose blocks look the same from outside: size, times, and numbers."""
    paths = [tmp_path / name for name in ("logs.db", "other.db")]
    for path, word in zip(paths, ("rare", "seldom"), strict=True):
        rows = [
            entry(n, source=f"by {word[:3]}", message=f"{word[:4]} {n}")
            for n in range(100)
        ]
        append(path, [[(0, rows)]])
    asker = Asker(paths[0])
    asked: list[tuple[str, dict[str, Any]]] = [
        ("query", {"q": "rare", "limit": 3}),
        ("query", {"q": "| stats by (source) count()"}),
        ("get_stats", {}),
        ("histogram", {"by": "source", "interval": "1h"}),
        ("patterns", {}),
    ]
    for method, params in asked:
        asker.ask(method, **params)

    paths[1].replace(paths[0])

    assert [asker.ask(method, **params) for method, params in asked] == [
        Asker(paths[0]).ask(method, **params) for method, params in asked
    ]


def test_names_of_sources_do_not_pile_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With too many, the next question reads its own."""
    monkeypatch.setattr(cells, "SOURCES_KEPT", 150)
    names = [f"source {n}" for n in range(400)]
    rows = [entry(n, source=name) for n, name in enumerate(names)]
    append(path, [[(0, rows[at : at + 100])] for at in range(0, 400, 100)])
    asker = Asker(path)
    whole = asker.ask("aggregate", q="| stats by (source) count()")

    asker.ask("get_stats", since=0, until=100)

    assert len(asker.engine._context.cells._sources) == 100
    assert asker.ask("aggregate", q="| stats by (source) count()") == whole


@given(st.lists(st.booleans(), min_size=1, max_size=700))
def test_places_come_back(rows: list[bool]) -> None:
    """Few are kept as places, many as bits."""
    matches, header = Matches(), Header(1, len(rows), 9, 0, 9, 1, 1, 0)
    places = np.flatnonzero(rows)
    matches.put("x", header, places)

    found = matches.get("x", header)

    assert found is not None
    assert found.tolist() == places.tolist()
    assert (header in matches.without("x")) == (not any(rows))
    assert matches.get("y", header) is None
    assert matches.get("x", header._replace(size=8)) is None


def test_a_question_goes_as_a_whole() -> None:
    """The one that was not asked for longest; one of all memory learns no more."""
    matches = Matches(10_000)
    headers = [Header(n, 1000, 9, 0, 9, n, n, 0) for n in range(100)]
    for question in "ab":
        for header in headers[:20]:
            matches.put(question, header, np.arange(5))
    for header in headers:
        matches.put("c", header, np.arange(20))

    known = [
        sum(matches.get(question, header) is not None for header in headers)
        for question in "abc"
    ]

    assert known == [0, 0, 32]


def test_blocks_that_are_gone_are_forgotten() -> None:
    """Their room is free again."""
    matches = Matches(10_000)
    headers = [Header(n, 1000, 9, 0, 9, n, n, 0) for n in range(60)]
    for header in headers[:30]:
        matches.put("x", header, np.arange(5))
    for header in headers[30:]:
        matches.put("x", header, np.arange(0))
    matches.keep(frozenset(headers[29:31]))
    for header in headers[:29]:
        matches.put("x", header, np.arange(5))

    known = [matches.get("x", header) is not None for header in headers]

    assert known == [True] * 31 + [False] * 29


def test_what_was_not_asked_for_longest_goes_first() -> None:
    """And what is too large is not kept."""
    kept: Bounded[str] = Bounded(3000, 1500)
    for key in "abc":
        kept.put(key, key, 700)
    kept.get("a")
    kept.put("d", "d", 700)
    kept.put("e", "e", 1400)

    assert [kept.get(key) for key in "abcde"] == ["a", None, "c", "d", None]


def test_blocks_that_are_gone_are_not_held_open(asker: Asker, path: Path) -> None:
    """With retention and compaction at work all blocks are others after a while."""
    ask(asker, q="rare")
    headers = asker.engine._context.headers
    before = list(headers.reader.headers)
    opened = [header in headers.opened for header in before]
    merge(path, 0, 3)
    ask(asker, q="rare")

    assert opened == [True] * 3
    assert not any(header in headers.opened for header in before)
    assert headers.reader.headers[0] in headers.opened


def test_headers_of_blocks_that_are_gone_are_forgotten() -> None:
    """Their room is free again; what is put twice counts once."""
    kept: Kept[str] = Kept(1000)
    for block in range(5):
        kept.put(block, "old", 200)
    kept.put(4, "same", 200)
    kept.keep({0, 4})
    for block in range(5, 8):
        kept.put(block, "new", 200)

    found = [kept.get(block) for block in range(8)]
    assert found == ["old", None, None, None, "same", "new", "new", "new"]
