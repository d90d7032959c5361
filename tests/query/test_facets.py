"""facets: the values of every field in one answer."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry
from pipeline.query.aggregate import facets
from pipeline.query.syntax import Node
from tests.query.oracle import find
from tests.query.stores import STATES, Asker, Parts, append, blocks, settle, trees
from tests.query.tables import ABSENT, canon, first_value, shown

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


@settings(
    deadline=None,
    max_examples=50,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(blocks, st.sampled_from(STATES), trees)
def test_facets(made: list[Parts], state: str, tree: Node) -> None:
    """Each field that an entry has, with how many have it and which values."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        stored = settle(path, append(path, made), state)
        asker = Asker(path)
        reply = asker.ask("facets", q=str(tree), limit=1000)
        stats = asker.ask("get_stats", q=str(tree))

    hits = [row.entry for row in find(stored, tree)]
    keys = {key for entry in hits for key in entry.metadata or {}}
    right: dict[str, Counter[str]] = {}
    looks: dict[str, str] = {}
    for entry in hits:
        pairs = [("trace_id", entry.trace_id)]
        pairs += [("tag", tag) for tag in dict.fromkeys(entry.tags or [])]
        fields = entry.metadata or {}
        # a key of one entry may be a path into the maps of another
        pairs += [(f"metadata.{key}", first_value(fields, key)) for key in keys]
        for name, value in pairs:
            if value is not None and value is not ABSENT:
                right.setdefault(name, Counter())[canon(value)] += 1
                looks[canon(value)] = shown(value)
    found = {one["field"]: one for one in reply["facets"]}
    levels = {
        v["value"]: v["count"] for v in found.pop("level", {"values": []})["values"]
    }
    sources = {
        v["value"]: v["count"] for v in found.pop("source", {"values": []})["values"]
    }
    assert levels == {name: n for name, n in stats["by_level"].items() if n}
    assert sources == stats["by_source"]
    assert reply["total"] == stats["total_logs"] == len(hits)
    assert set(found) == set(right)
    for name, counts in right.items():
        values = Counter((shown(v["value"]), v["count"]) for v in found[name]["values"])
        assert values == Counter((looks[key], n) for key, n in counts.items())
        assert found[name]["distinct"] == len(counts)
        assert found[name]["count"] == counts.total()


def test_a_field_of_too_many_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is there with how many entries have it, and without values."""
    monkeypatch.setattr(facets, "VALUES_MAX", 50)
    rows = [Entry(n, "s", 9, "m", {"n": n, "k": n % 3}, [], None) for n in range(100)]
    append(tmp_path / "a.db", [[(0, rows[:60])], [(0, rows[60:])]])
    reply = Asker(tmp_path / "a.db").ask("facets", limit=1)

    found = {one["field"]: one for one in reply["facets"]}
    many, few = found["metadata.n"], found["metadata.k"]
    assert (many["count"], many["distinct"], many["values"]) == (100, None, [])
    assert (few["count"], few["distinct"]) == (100, 3)
    assert few["values"] == [{"value": 0, "count": 34}]
