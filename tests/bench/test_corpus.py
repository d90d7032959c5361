"""The corpus is the same for everybody, and facts() tells the truth about it."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest

from bench.corpus import PIECE, batches, facts, generate, mixed_batches
from bench.shapes import LEVEL_SHARES, SHAPES
from pipeline.entry import Entry, entry_to_json

ROWS = PIECE + 10_000


@pytest.fixture(scope="module")
def corpus() -> list[Entry]:
    """More than one piece, so that borders are crossed."""
    return list(generate(ROWS))


def test_the_same_seed_gives_the_same_entries(corpus: list[Entry]) -> None:
    """A shorter corpus is the beginning of a longer one."""
    assert corpus[:1_000] == list(generate(1_000))


def test_another_seed_gives_other_entries(corpus: list[Entry]) -> None:
    """Nothing that should be random is shared between seeds."""
    other = list(generate(1_000, seed=2))

    traces = {entry.trace_id for entry in other if entry.trace_id}
    assert traces.isdisjoint(entry.trace_id for entry in corpus)


def test_entries_look_like_logs(corpus: list[Entry]) -> None:
    """Sources, shapes, keys, levels and size are those of a busy platform."""
    levels = Counter(entry.level for entry in corpus)
    text = json.dumps(
        [entry_to_json(entry, "") for entry in corpus[:5_000]],
        ensure_ascii=False,
        separators=(",", ":"),
    )

    assert len({entry.source for entry in corpus}) == 20
    assert len(SHAPES) >= 100
    assert len({key for entry in corpus for key in entry.metadata or {}}) > 80
    assert 330 < len(text) / 5_000 < 400
    for level, share in LEVEL_SHARES.items():
        assert levels[level] / ROWS == pytest.approx(share, rel=0.3)


def test_traces_are_shared_by_three_to_ten_entries(corpus: list[Entry]) -> None:
    """Only traces at a border have fewer entries."""
    sizes = Counter(entry.trace_id for entry in corpus if entry.trace_id)

    assert max(sizes.values()) == 10
    assert sum(size < 3 for size in sizes.values()) < 200


def test_time_advances_with_little_disorder(corpus: list[Entry]) -> None:
    """1,000 to 5,000 entries a second, at most 3 ms out of order."""
    times = [entry.timestamp for entry in corpus]
    seconds = (max(times) - min(times)) / 1e9

    assert 1_000 < ROWS / seconds < 5_000
    assert all(b - a > -3_000_000 for a, b in pairwise(times))


def test_facts_are_what_a_scan_counts(corpus: list[Entry]) -> None:
    """Levels, sources, planted words and the known trace are counted exactly."""
    known = facts(ROWS)
    messages = [entry.message for entry in corpus]

    assert known.levels == Counter(entry.level for entry in corpus)
    assert known.sources == Counter(entry.source for entry in corpus)
    assert known.pairs == Counter((entry.level, entry.source) for entry in corpus)
    assert known.rare_rows == sum(known.rare_word in text for text in messages)
    assert known.phrase_rows == sum(known.phrase in text for text in messages)
    assert known.substring_rows == sum(known.substring in text for text in messages)
    assert known.trace_rows == sum(e.trace_id == known.trace_id for e in corpus)


def test_one_source_alone(corpus: list[Entry]) -> None:
    """What a single service logs has only its own shapes, all levels among them."""
    alone = list(generate(5_000, source="payments"))

    assert {entry.source for entry in alone} == {"payments"}
    assert {9, 5, 13, 17} <= {entry.level for entry in alone}


def test_batches_hold_every_entry_once(corpus: list[Entry]) -> None:
    """Of one source each, or mixed in the corpus's order."""
    single = list(batches(ROWS))
    mixed = list(mixed_batches(ROWS))

    assert all(len({entry.source for entry in batch}) == 1 for batch in single)
    assert sorted(entry.timestamp for batch in single for entry in batch) == sorted(
        entry.timestamp for entry in corpus
    )
    assert [entry for batch in mixed for entry in batch] == corpus
