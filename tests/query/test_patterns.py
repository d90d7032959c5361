"""Patterns have the counts that one gets from each message in turn."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry, format_timestamp
from pipeline.query.syntax import Node
from tests.query.oracle import find
from tests.query.stores import STATES, Asker, append, blocks, settle, trees

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
TOKEN = "[0-9A-Za-z_\x80-\U0010ffff]+"


def pattern(message: str) -> str:
    """`<*>` for each token that has a digit."""
    return re.sub(
        TOKEN,
        lambda found: "<*>" if re.search("[0-9]", found[0]) else found[0],
        message,
    )


entries = st.builds(
    Entry,
    st.integers(0, 50),
    st.just("s"),
    st.just(9),
    st.sampled_from(["a 1", "a 2", "b 7 c", "b 8 c", "x", "y é 5", "", "rare 1 z"]),
    st.just({}),
    st.just([]),
    st.none(),
)
many = st.lists(
    st.lists(entries, min_size=1, max_size=40).map(lambda rows: [(0, rows)]),
    min_size=1,
    max_size=4,
)


@settings(
    deadline=None,
    max_examples=80,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(many | blocks, st.sampled_from(STATES), trees, st.booleans(), st.integers(1, 9))
def test_patterns(made, state: str, tree: Node, everything: bool, n: int) -> None:
    """The most frequent ones, exact in every state of the blocks."""
    text = "" if everything else f"({tree})"
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        stored = settle(path, append(path, made), state)
        reply = Asker(path).ask("aggregate", q=f"{text} | patterns {n}")

    hits = stored if everything else find(stored, tree)
    counts = Counter(pattern(row.entry.message) for row in hits)
    rows = reply["table"]["rows"]
    assert [row[1] for row in rows] == [count for _, count in counts.most_common(n)]
    for name, count, share, first, last, _ in rows:
        times = [r.entry.timestamp for r in hits if pattern(r.entry.message) == name]
        assert counts[name] == count
        assert abs(share - count / len(hits)) < 1e-9
        assert (first, last) == tuple(map(format_timestamp, (min(times), max(times))))


def test_rare_in_a_block_and_frequent_in_others(tmp_path: Path) -> None:
    """A block doesn't list what it has once; that entry still counts for the top."""
    texts = [["a 1"] * 5 + ["b 2"] * 6, ["a 1"] * 5 + ["b 2"] * 5, ["a 1", "c 3"]]
    made = [
        [(0, [Entry(n, "s", 9, text, {}, [], None) for n, text in enumerate(block)])]
        for block in texts
    ]
    settle(tmp_path / "a.db", append(tmp_path / "a.db", made), "compacted")
    reply = Asker(tmp_path / "a.db").ask("aggregate", q="| patterns 2")

    assert sorted(row[:2] for row in reply["table"]["rows"]) == (
        [["a <*>", 11], ["b <*>", 11]]
    )
