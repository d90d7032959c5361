"""Rivals give the same answers on the same corpus, so that their times compare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TypeVar

import pytest

from bench.corpus import facts, generate, pieces
from bench.rivals import LIMIT, LOCAL, Answers, Row, open_rival
from bench.rivals.victorialogs import json_line
from pipeline.entry import Entry

ROWS = 20_000

Key = TypeVar("Key")


@pytest.fixture(scope="module")
def corpus() -> list[Entry]:
    """What the rivals have loaded."""
    return list(generate(ROWS))


INSTALLED = [name for name in LOCAL if name != "chdb" or find_spec("chdb")]
"""ClickHouse comes with the extra `bench`: half a gigabyte that no other test wants."""


@pytest.fixture(scope="module", params=INSTALLED)
def rival(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Answers]:
    """Each local rival that is installed, with the corpus loaded."""
    folder = tmp_path_factory.mktemp(request.param)
    store = open_rival(request.param, folder)
    store.prepare(pieces(ROWS))
    for _ in range(2):  # each run begins with an empty store
        open_again = open_rival(request.param, folder)
        load = open_again.ingest()
        open_again.close()

    assert load.rows == ROWS
    assert load.disk > 0
    assert load.seconds > 0
    yield store
    store.close()


def newest(entries: list[Entry]) -> list[Row]:
    """What a query for the newest should give."""
    entries.sort(key=lambda entry: -entry.timestamp)
    return [entry[:4] for entry in entries[:LIMIT]]


def present(counts: dict[Key, int]) -> dict[Key, int]:
    """A store knows nothing of what it does not hold."""
    return {key: n for key, n in counts.items() if n}


def test_a_trace_is_found_whole(rival: Answers, corpus: list[Entry]) -> None:
    """All entries of the trace, none of another."""
    trace_id = facts(ROWS).trace_id

    assert newest([e for e in corpus if e.trace_id == trace_id]) == rival.trace(
        trace_id
    )


def test_a_rare_word_is_found(rival: Answers, corpus: list[Entry]) -> None:
    """The planted word's entries, as facts() counts them."""
    known = facts(ROWS)
    found = rival.word(known.rare_word)

    assert newest([e for e in corpus if known.rare_word in e.message]) == found
    assert known.rare_rows == len(found)


def test_a_phrase_gives_its_newest_entries(rival: Answers, corpus: list[Entry]) -> None:
    """Text with spaces is looked for as it stands."""
    phrase = facts(ROWS).phrase

    assert newest([e for e in corpus if phrase in e.message]) == rival.phrase(phrase)


def test_level_and_source_give_their_newest_entries(
    rival: Answers, corpus: list[Entry]
) -> None:
    """Both conditions hold for every row."""
    wanted = [e for e in corpus if e.level == 17 and e.source == "database"]

    assert newest(wanted) == rival.newest(17, "database")


def test_counts_are_exact(rival: Answers) -> None:
    """By level, by source, and of a substring, as facts() knows them."""
    known = facts(ROWS)

    assert (present(known.levels), present(known.sources)) == rival.counts()
    assert known.substring_rows == rival.substring(known.substring)


def test_a_json_line_holds_every_field(corpus: list[Entry]) -> None:
    """VictoriaLogs gets the same entries: one line each, metadata as fields."""
    entry = next(entry for entry in corpus if entry.trace_id and entry.tags)
    line = json_line(entry)
    fields = json.loads(line)

    assert line.count("\n") == 1
    assert fields["message"] == entry.message
    assert fields["trace_id"] == entry.trace_id
    assert {f"metadata.{key}" for key in entry.metadata or {}} <= set(fields)
