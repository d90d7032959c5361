"""Sorting: rows chosen by numbers are those that sorting all values chooses."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry
from pipeline.query import ordered
from pipeline.query.answer import Limits
from pipeline.query.requests import FieldError
from tests.query.stores import STATES, Asker, append, ids, settle

TEXTS = ["", "a", "a\0", "ab", "same word", "same word 2", "same wore", "é", "z" * 40]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def entry(at: int, chance: random.Random, values: list[object]) -> Entry:
    """One of few texts and values, so that many are equal."""
    fields = {"n": chance.choice(values), "t": chance.choice(TEXTS)}
    kept = {name: value for name, value in fields.items() if chance.random() < 0.8}
    level = chance.choice([1, 9, 13, 17])
    trace = chance.choice([None, "ab" * 16, f"{at:032x}", "t-1"])
    message = chance.choice(TEXTS) + str(chance.randrange(3))
    return Entry(at // 2, "s", level, message, kept, [], trace)


@settings(
    deadline=None,
    max_examples=60,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    st.integers(0, 1 << 30),
    st.sampled_from(STATES),
    st.lists(
        st.tuples(
            st.sampled_from(["message", "n", "t", "level", "trace_id", "timestamp"]),
            st.sampled_from(["", " desc"]),
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda key: key[0],
    ),
    st.integers(1, 20),
    st.sampled_from([[1, 2, 3], [0.5, -0.0, 0.0], [1, 0.5, "x", True], [True, False]]),
)
def test_limits_cut_what_sorting_all_gives(
    seed: int,
    state: str,
    keys: list[tuple[str, str]],
    most: int,
    values: list[object],
) -> None:
    """The first n are the same whether few or all are wanted."""
    chance = random.Random(seed)
    made = [
        [(0, [entry(b * 30 + n, chance, values) for n in range(30)])] for b in range(4)
    ]
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        settle(path, append(path, made), state)
        asker = Asker(path, Limits(rows=1000))
        text = "| sort " + ", ".join(name + how for name, how in keys)
        few = ids([asker.ask("query", q=f"{text} | limit {most}")])
        everything = ids([asker.ask("query", q=f"{text} | limit 1000")])

    assert few == everything[:most]


def test_values_that_are_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of long texts is bounded; the error says so, and what helps."""
    rows = [Entry(n, "s", 9, "x" * 50 + str(n), {}, [], None) for n in range(100)]
    append(tmp_path / "a.db", [[(0, rows)]])
    monkeypatch.setattr(ordered, "VALUES_BYTES", 1000)
    asker = Asker(tmp_path / "a.db")

    with pytest.raises(FieldError, match="to sort by"):
        asker.ask("query", q="| sort message | limit 100")
    assert asker.ask("query", q="| sort message | limit 10")["returned"] == 10
