"""patterns: each listed pattern's course and example, and what another window had."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.entry import LEVEL_NAMES, Entry, encode_id, format_timestamp
from pipeline.query.aggregate import pattern_details
from pipeline.query.requests import FieldError
from pipeline.query.syntax import Node
from tests.query.oracle import Stored, find
from tests.query.stores import STATES, Asker, append, blocks, settle, trees
from tests.query.test_patterns import many, pattern

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
SECOND = 1_000_000_000
checked = settings(
    deadline=None,
    max_examples=60,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow],
)


@checked
@given(many | blocks, st.sampled_from(STATES), trees, st.booleans(), st.integers(1, 9))
def test_each_pattern(made, state: str, tree: Node, everything: bool, n: int) -> None:
    """Has the trend, levels, sources and newest entry that its rows have."""
    text = "*" if everything else str(tree)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        stored = settle(path, append(path, made), state)
        asker = Asker(path)
        reply = asker.ask("patterns", q=text, limit=n, buckets=7)
        table = asker.ask("aggregate", q=f"{text} | patterns {n}")["table"]

    hits = stored if everything else find(stored, tree)
    rows: dict[str, list[Stored]] = {}
    for row in hits:
        rows.setdefault(pattern(row.entry.message), []).append(row)
    assert reply["total"] == len(hits)
    assert reply["truncated"] == (len(rows) > n)
    head = ("pattern", "count", "share", "first_seen", "last_seen", "id")
    assert [[one[name] for name in head] for one in reply["patterns"]] == table["rows"]
    for one in reply["patterns"]:
        _check(one, rows[one["pattern"]], reply)


def _check(one: Any, rows: list[Stored], reply: Any) -> None:
    levels = Counter(LEVEL_NAMES[row.entry.level] for row in rows)
    sources = Counter(row.entry.source for row in rows)
    newest = max(rows, key=lambda row: (row.entry.timestamp, row.producer, row.number))
    width = int(reply["bucket_seconds"] * SECOND)
    starts = Counter(
        format_timestamp(row.entry.timestamp // width * width) for row in rows
    )
    trend = dict(zip(reply["starts"], one["trend"], strict=True))
    assert one["levels"] == levels
    assert (one["sources"], one["sources_total"]) == (sources, len(sources))
    assert {start: n for start, n in trend.items() if n} == starts
    assert one["example"]["id"] == encode_id(
        newest.entry.timestamp, newest.producer, newest.number
    )
    assert one["example"]["message"] == newest.entry.message


@checked
@given(many, st.sampled_from(STATES), st.integers(1, 50), st.integers(1, 4))
def test_what_another_window_had(made, state: str, cut: int, n: int) -> None:
    """New, vanished and changed patterns, with both counts and their ratio."""
    asked = {"since": format_timestamp(cut), "until": format_timestamp(51)}
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        stored = settle(path, append(path, made), state)
        then = {"until": format_timestamp(cut), "since": format_timestamp(0)}
        reply = Asker(path).ask("patterns", limit=n, compare_to=then, **asked)

    times = [(row.entry.timestamp, pattern(row.entry.message)) for row in stored]
    now = Counter(name for time, name in times if time >= cut)
    before = Counter(name for time, name in times if time < cut)
    found = reply["comparison"]
    ratios = {
        name: now[name] / (51 - cut) * cut / count for name, count in before.items()
    }
    new, gone = set(now) - set(before), set(before) - set(now)
    changed = {name for name in set(now) & set(before) if not 0.5 < ratios[name] < 2}
    assert found["total"] == before.total()
    for name, right in (("new", new), ("vanished", gone), ("changed", changed)):
        assert len(found[name]) == min(n, len(right))
        assert found[f"{name}_total"] == len(right)
        assert {one["pattern"] for one in found[name]} <= right
    listed = [one["pattern"] for one in reply["patterns"]]
    assert [one["pattern"] for one in found["patterns"]] == listed
    for name in ("patterns", "new", "vanished", "changed"):
        for one in found[name]:
            ratio = ratios.get(one["pattern"])
            assert one["change"] == (
                None if ratio is None else pytest.approx(ratio, abs=1e-4)
            )
            assert one["count"] == now[one["pattern"]]
            assert one["before"] == before[one["pattern"]]
    assert [one["count"] for one in found["new"]] == sorted(
        (now[name] for name in new), reverse=True
    )[:n]


def _some(path: Path) -> Asker:
    rows = [
        Entry(
            60 * SECOND * n, "s", 9, f"{'old' if n < 60 else 'new'} {n}", {}, [], None
        )
        for n in range(120)
    ]
    append(path, [[(0, rows)]])
    return Asker(path)


def test_a_length_is_the_window_before(tmp_path: Path) -> None:
    """It ends where this one begins, and counts are compared by the second."""
    asker = _some(tmp_path / "a.db")
    reply = asker.ask("patterns", 7200 * SECOND, since="1h", compare_to="30m")
    found = reply["comparison"]

    assert found["window"] == {
        "since": "1970-01-01T00:30:00.000000000Z",
        "until": "1970-01-01T01:00:00.000000000Z",
    }
    assert [(one["pattern"], one["count"]) for one in found["new"]] == [("new <*>", 60)]
    assert [(one["pattern"], one["before"]) for one in found["vanished"]] == [
        ("old <*>", 30)
    ]
    same = asker.ask(
        "patterns", since=3600.0, until=5400.0, compare_to={"since": 5400.0}, q="new"
    )
    assert [one["count"] for one in same["comparison"]["patterns"]] == [30]
    assert same["comparison"]["changed"] == []


def test_what_is_no_window(tmp_path: Path) -> None:
    """Is refused by its name."""
    asker = _some(tmp_path / "a.db")
    for given_, match in [
        ({"compare_to": "often", "since": 0}, "no length of time"),
        ({"compare_to": "1h"}, "no beginning"),
        ({"compare_to": {}}, "neither since nor until"),
        ({"compare_to": {"since": "x"}}, "no|not"),
    ]:
        with pytest.raises(FieldError, match=match) as caught:
            asker.ask("patterns", **given_)
        assert caught.value.field.startswith("compare_to")


def test_examples_end_with_the_reply_s_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes beyond has none; buckets may be left out."""
    monkeypatch.setattr(pattern_details, "REPLY_BYTES", 1)
    reply = _some(tmp_path / "a.db").ask("patterns", buckets=0)

    examples = [one["example"] for one in reply["patterns"]]
    assert examples.count(None) == 1
    assert [one["trend"] for one in reply["patterns"]] == [[], []]
    assert json.dumps(reply["starts"]) == "[]"
