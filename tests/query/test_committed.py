"""What the analyzer asks of commits: counts and groups, whatever became of blocks."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry
from pipeline.level import Level
from pipeline.query.grouped import group_rows
from pipeline.store.templates import pattern_id
from pipeline.timestamp import SECOND
from pipeline.wire.codec import batch_of
from tests.query.stores import Asker, append, states
from tests.wire.messages import entry

LEVELS = st.sampled_from([Level.INFO, Level.WARN, Level.ERROR])
ROWS = st.lists(
    st.builds(
        lambda second, source, level, number: entry(
            f"took {number} ms", timestamp=second * SECOND, source=source, level=level
        ),
        st.integers(-200, 200),
        st.sampled_from(["api", "web"]),
        LEVELS,
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=6,
)


def _cells(rows: list[Entry], step: int = 1) -> dict[tuple[int, str, int], int]:
    return Counter(
        (row.timestamp // SECOND // step * step, row.source, row.level) for row in rows
    )


def _counted(reply: Any) -> dict[tuple[int, str, int], int]:
    return {
        (second, reply["sources"][source], level): count
        for second, source, level, count in reply["rows"]
    }


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(ROWS, min_size=1, max_size=5), st.sampled_from([1, 10, 60, 600]))
def test_counts_are_exact(tmp_path: Path, blocks: list[list[Entry]], step: int) -> None:
    """By any step, of all commits, in a fresh and in a compacted store."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    made = [[(0, rows)] for rows in blocks]
    for state, path, stored in states(folder, made):
        reply = Asker(path).ask("counts", step=step)

        assert _counted(reply) == _cells([one.entry for one in stored], step), state
        assert reply["commit"] == len(blocks)


def test_counts_of_some_commits(tmp_path: Path) -> None:
    """Those above one and up to another, which compaction keeps apart."""
    rows = [[entry(source=name) for _ in range(n)] for n, name in enumerate("abcd", 1)]
    made = [[(0, some)] for some in rows]
    for state, path, _ in states(tmp_path, made):
        if state == "deleted":
            continue
        reply = Asker(path).ask("counts", after=1, up_to=3)

        assert _counted(reply) == _cells(rows[1] + rows[2]), state


def test_counts_of_a_time(tmp_path: Path) -> None:
    """From a second on, and before another."""
    rows = [entry(timestamp=second * SECOND) for second in range(10)]
    append(tmp_path / "a.db", [[(0, rows)]])
    reply = Asker(tmp_path / "a.db").ask("counts", since=3, until=5)

    assert [row[0] for row in reply["rows"]] == [3, 4]


def test_groups_of_some_commits(tmp_path: Path) -> None:
    """By source, level and pattern; the ids are those that compaction gives."""
    first = [entry("user 7 gone", source="api", level=Level.ERROR)] * 3
    second = [
        *[entry("user 9 gone", source="api", level=Level.ERROR)] * 2,
        entry("user 9 gone", source="web", level=Level.WARN),
        entry("all is well", source="web", level=Level.INFO),
    ]
    for state, path, _ in states(tmp_path, [[(0, first)], [(0, second)]]):
        if state == "deleted":
            continue
        asker = Asker(path)
        whole = asker.ask("events", level=int(Level.WARN))
        part = asker.ask("events", level=int(Level.ERROR), after=1)

        pattern = pattern_id(b"user \xff gone")
        told = [group[1:4] + group[5:] for group in whole["groups"]]
        assert told == [["api", 17, pattern, 5], ["web", 13, pattern, 1]], state
        assert [group[4:] for group in part["groups"]] == [["user <*> gone", 2]]
        assert not whole["truncated"]


def test_a_document_has_no_pattern() -> None:
    """As in the store: its group has the id 0."""
    batch = batch_of([entry("x" * 20_000, level=Level.ERROR)]).batch
    assert batch is not None
    (group,) = group_rows(batch, np.arange(1))

    assert (group.pattern, group.template, group.count) == (0, "", 1)


def test_a_group_begins_with_its_first_entry() -> None:
    """By time, not by place."""
    rows = [entry("a", timestamp=second * SECOND) for second in (9, 3, 5)]
    batch = batch_of(rows).batch
    assert batch is not None
    (group,) = group_rows(batch, np.arange(3))

    assert (group.second, group.count) == (3, 3)
