"""histogram: spans of time, by value, with what get_stats and the table have too."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry, format_timestamp
from pipeline.query.aggregate import timeline
from pipeline.query.requests import FieldError
from pipeline.query.syntax import Node
from tests.query.oracle import find
from tests.query.stores import STATES, Asker, Parts, append, blocks, settle, trees
from tests.query.tables import shown, values_of

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
SECOND = 1_000_000_000


@settings(
    deadline=None,
    max_examples=50,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    blocks,
    st.sampled_from(STATES),
    trees,
    st.sampled_from([None, "level", "source", "a", "tag"]),
    st.sampled_from(["7s", "1m", "90s", "1h"]),
)
def test_histogram(
    made: list[Parts], state: str, tree: Node, by: str | None, interval: str
) -> None:
    """Every bucket of every series has the entries that are in it."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        stored = settle(path, append(path, made), state)
        low, high = -2 * 3600 * SECOND, 3600 * SECOND
        asked = {"since": format_timestamp(low), "until": format_timestamp(high)}
        asker = Asker(path)
        reply = asker.ask(
            "histogram",
            q=str(tree),
            interval=interval,
            **({"by": by} if by else {}),
            **asked,
        )
        stats = asker.ask("get_stats", q=str(tree), **asked)

    hits = find(stored, tree, low, high)
    width = {"7s": 7, "1m": 60, "90s": 90, "1h": 3600}[interval] * SECOND
    right: Counter[tuple[str, str]] = Counter()
    for row in hits:
        start = format_timestamp(row.entry.timestamp // width * width)
        for value in [None] if by is None else values_of(row.entry, by):
            right[start, shown(value)] += 1
    ours: Counter[tuple[str, str]] = Counter()
    for series in reply["series"]:
        assert sum(series["counts"]) == series["total"]
        for start, count in zip(reply["starts"], series["counts"], strict=True):
            ours[start, shown(series["value"])] += count
    assert +ours == right
    assert reply["total"] == stats["total_logs"] == len(hits)
    assert reply["interval_seconds"] == width / SECOND


def test_a_width_that_is_none(tmp_path: Path) -> None:
    """Is refused by its name, as are too many buckets."""
    append(
        tmp_path / "a.db",
        [[(0, [Entry(n, "s", 9, "m", {}, [], None) for n in (0, 10**15)])]],
    )
    asker = Asker(tmp_path / "a.db")

    for wrong in ("often", "9999999999d", "0s", -60, 10**18, (1 << 64) - 1, 1e300):
        with pytest.raises(FieldError, match="no length of time"):
            asker.ask("histogram", interval=wrong)
    with pytest.raises(FieldError, match="spans of time"):
        asker.ask("histogram", interval=1)


@pytest.mark.parametrize("by", ["source", "message"])
def test_too_many_values_are_no_picture(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether headers count them or not, and however few spans of time there are."""
    monkeypatch.setattr(timeline, "VALUES_MAX", 100)
    rows = [Entry(n, f"s{n}", 9, f"m{n}", {}, [], None) for n in range(101)]
    append(tmp_path / "a.db", [[(0, rows[:100])]])
    asker = Asker(tmp_path / "a.db")
    asked = {"interval": "1h", "by": by}

    assert len(asker.ask("histogram", **asked)["series"]) == 100
    append(tmp_path / "a.db", [[(1, rows[100:])]])
    with pytest.raises(FieldError, match="more than 100 groups"):
        asker.ask("histogram", **asked)
