"""The benches measure the real pipeline: what they send, a query counts and finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import latency
from bench.corpus import facts, pieces
from bench.frames import make, read
from bench.ingest import Options, Results, fill, measure
from bench.processes import Asker
from bench.questions import Pipeline, Question, questions
from bench.rivals import Analytics, Rival, open_rival
from bench.rivals.sqlite_rows import SqliteRows
from pipeline.batch.decode import parse

ROWS = 5_000


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The corpus, pushed to an ingester; then a query worker."""
    where = fill(tmp_path_factory.mktemp("ours"), ROWS)
    with Asker(where) as worker:
        yield Pipeline(worker.ask)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rival]:
    """The corpus as rows of SQLite."""
    store = open_rival("sqlite-rows", tmp_path_factory.mktemp("theirs"))
    store.prepare(pieces(ROWS))
    store.ingest()
    yield store
    store.close()


ASKED = questions(facts(ROWS))


@pytest.mark.parametrize(
    "question",
    [each for each in ASKED if each.is_for(SqliteRows)],
    ids=lambda each: each.name,
)
def test_the_pipeline_answers_as_rows_do(
    question: Question, ours: Pipeline, theirs: Rival
) -> None:
    """What rows of SQLite can be asked has one answer."""
    assert question.ask(theirs) == question.ask(ours)


@pytest.mark.parametrize(
    "question",
    [each for each in ASKED if hasattr(Analytics, each.method)],
    ids=lambda each: each.name,
)
def test_every_other_question_is_answered(question: Question, ours: Pipeline) -> None:
    """What only ClickHouse is asked too; `bench.query` compares the answers."""
    assert question.ask(ours)


def test_a_word_of_messages_is_found_anywhere(ours: Pipeline) -> None:
    """Without a field, other texts are looked at too."""
    found = ours.anywhere("authorized")

    assert found
    assert ours.word("authorized") == found


def test_a_hit_has_its_neighbours(ours: Pipeline) -> None:
    """The entries of its source on both sides, in order, and it among them."""
    hit = ours.newest(9, "api-gateway")[50]
    found = ours.around(hit)

    assert sorted(found) == found
    assert hit in found
    assert {source for _, source, *_ in found} == {"api-gateway"}


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_frames_hold_the_corpus_once(
    tmp_path: Path, *, mixed: bool, plain: bool
) -> None:
    """Read in parts, every batch comes exactly once."""
    path = tmp_path / "frames"
    make(path, ROWS, mixed=mixed, plain=plain)
    whole = list(read(path))
    parts = [batch for part in range(3) for batch in read(path, part, 3)]

    assert sorted(whole) == sorted(parts)
    assert sum(rows for _, rows, _ in whole) == ROWS
    assert sum(parse(payload).rows for *_, payload in whole) == ROWS


def test_every_way_in_is_counted() -> None:
    """Frames, mixed frames and live producers; `measure` fails on a wrong count."""
    results: Results = measure(Options(ROWS, live_entries=2_000, runs=1))

    assert set(results.medians()) == {"frames", "mixed", "live"}
    assert all(load.disk > 0 for load in results.medians().values())
    assert set(results.call_us) == {"calm", "flat out"}


def test_latency_follows_every_entry() -> None:
    """Each entry has its time to durable, each tenth its time to queryable."""
    found = latency.measure(Options(), seconds=0.5)

    assert len(found.durable) == 500
    assert len(found.queryable) == 50
    assert min(found.durable) > 0
