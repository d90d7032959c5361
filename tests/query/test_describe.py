"""describe: what is stored, from headers and directories, as each entry has it."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.entry import LEVEL_NAMES, Entry, format_timestamp, parse_timestamp
from pipeline.query.aggregate import inventory
from pipeline.query.methods import describe
from pipeline.store.schema import COMPACTED
from tests.query.stores import STATES, Asker, Parts, append, blocks, settle

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
MINUTE = 60_000_000_000


@settings(
    deadline=None,
    max_examples=80,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.too_slow],
)
@given(blocks, st.sampled_from(STATES))
def test_describe(made: list[Parts], state: str) -> None:
    """Sources, levels, fields, span and volume in every state of the blocks."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        stored = settle(path, append(path, made), state)
        asker = Asker(path)
        reply = asker.ask("describe", values=100)
        facets = asker.ask("facets", limit=100)
        headers = asker.engine._context.headers.reader.headers

    entries = [row.entry for row in stored]
    times = sorted(entry.timestamp for entry in entries)
    ends = tuple(map(format_timestamp, (times[0], times[-1]))) if times else (None,) * 2
    assert (reply["oldest"], reply["newest"]) == ends
    assert reply["levels"] == Counter(LEVEL_NAMES[entry.level] for entry in entries)
    assert reply["newest_commit"] == len(made)
    assert reply["entries"] == reply["sample_entries"] == len(entries)
    assert (reply["sampled"], reply["uncounted"]) == (False, 0)
    for name, is_compacted in (("fresh", False), ("compacted", True)):
        some = [h for h in headers if (h.id >= COMPACTED) is is_compacted]
        assert reply["blocks"][name] == {
            "blocks": len(some),
            "entries": sum(header.rows for header in some),
            "bytes": sum(header.size for header in some),
        }
    _check_sources(entries, reply["sources"])
    _check_fields(entries, reply["fields"])
    known = {one["field"]: one["values"] for one in facets["facets"]}
    for one in reply["fields"]:
        assert one["values"] == known.get(one["field"], [])


def _check_sources(entries: list[Entry], found: list[dict[str, object]]) -> None:
    right = Counter(entry.source for entry in entries)
    assert {one["source"]: one["count"] for one in found} == right
    for one in found:
        times = [entry.timestamp for entry in entries if entry.source == one["source"]]
        first, last = (parse_timestamp(str(one[end]), 0) for end in ("first", "last"))
        assert first <= min(times) < first + MINUTE
        assert last - MINUTE < max(times) <= last


def _check_fields(entries: list[Entry], found: list[dict[str, object]]) -> None:
    right: Counter[str] = Counter()
    for entry in entries:
        right.update(("level", "source"))
        right.update(["tag"] if entry.tags else [])
        right.update(["trace_id"] if entry.trace_id is not None else [])
        right.update(f"metadata.{key}" for key in entry.metadata or {})
    assert {one["field"]: one["count"] for one in found} == right


def _row(number: int, **metadata: object) -> Entry:
    return Entry(number, "s", 9, "m", metadata, [], None)


def test_kinds(tmp_path: Path) -> None:
    """Each that a field has somewhere, repeated values too."""
    rows = [
        _row(n, i=n, f=n + 0.5, b=n % 2 == 0, t=f"text {n}", r=f"r{n % 2}", l=[n % 2])
        for n in range(100)
    ]
    append(tmp_path / "a.db", [[(0, rows)], [(0, [_row(1, i="one", r=2)])]])
    reply = Asker(tmp_path / "a.db").ask("describe")

    assert {one["field"]: one["kinds"] for one in reply["fields"]} == {
        **{name: ["text"] for name in ("level", "source")},
        "metadata.i": ["integer", "text"],
        "metadata.f": ["number"],
        "metadata.b": ["boolean"],
        "metadata.t": ["text"],
        "metadata.r": ["integer", "text"],
        "metadata.l": ["mixed"],
    }


def test_values_are_of_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is said that these are not all; counts are of all entries."""
    monkeypatch.setattr(describe, "SAMPLE_ROWS", 10)
    made = [[(0, [_row(100 * k + n, k=k) for n in range(10)])] for k in range(3)]
    append(tmp_path / "a.db", made)
    reply = Asker(tmp_path / "a.db").ask("describe")

    field = reply["fields"][-1]
    assert (reply["sampled"], reply["sample_entries"]) == (True, 10)
    assert (field["field"], field["count"]) == ("metadata.k", 30)
    assert field["values"] == [{"value": 2, "count": 10}]


def test_what_is_not_counted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fresh blocks beyond a size, and keys too rare for a column."""
    rows = [_row(n, **{f"k{i}": str(i) for i in range(250)}) for n in range(20)]
    append(tmp_path / "a.db", [[(0, rows)]])
    reply = Asker(tmp_path / "a.db").ask("describe")
    assert 0 < reply["uncounted"] <= 20
    assert reply["fields_total"] > len(reply["fields"]) == 200

    monkeypatch.setattr(inventory, "FRESH_BYTES", 1)
    reply = Asker(tmp_path / "a.db").ask("describe")
    assert (reply["entries"], reply["uncounted"]) == (20, 20)


def test_an_empty_store(tmp_path: Path) -> None:
    """Has nothing, not even a database."""
    reply = Asker(tmp_path / "none.db").ask("describe")

    assert (reply["entries"], reply["oldest"], reply["newest_commit"]) == (0, None, 0)
    assert reply["bytes_per_entry"] is None
    assert reply["sources"] == reply["fields"] == []
