"""The engine says what the oracle says, whatever the blocks have been through."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.query.syntax import Node
from tests.query.oracle import find
from tests.query.questions import trees
from tests.query.stores import Asker, Parts, blocks, ids, states

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A file system in memory: making a database on a disk takes ten times as long."""


@settings(
    deadline=None,
    max_examples=40,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(blocks, st.lists(trees, min_size=4, max_size=8))
def test_engine_and_oracle_agree(made: Sequence[Parts], asked: list[Node]) -> None:
    """On rows, their order and their number, of every question in every state."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        for state, path, stored in states(Path(folder), made):
            asker = Asker(path)
            for tree in asked:
                right = [row.id for row in find(stored, tree)]
                assert right == answers(asker, str(tree), len(right)), (state, tree)


def answers(asker: Asker, text: str, count: int) -> list[str]:
    """The ids that `query` finds, with which the other methods agree."""
    whole = asker.ask("query", q=text, limit=1_000)
    first = asker.ask("query", q=text, limit=2, count="none")
    last = asker.ask("search", query=text, limit=2, order="asc")
    stats = asker.ask("get_stats", q=text)

    found = ids([whole])
    assert found[:2] == ids([first])
    assert found[::-1][:2] == ids([last])
    assert count == whole["count"] == last["count"] == stats["total_logs"]
    return found
