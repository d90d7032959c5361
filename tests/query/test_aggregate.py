"""Tables have what one gets by looking at each entry in turn."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry
from pipeline.query.aggregate import distinct, percentile
from pipeline.query.answer import Limits
from pipeline.query.requests import FieldError
from pipeline.query.syntax import Node
from pipeline.query.tables import rank
from tests.query.oracle import Stored, find
from tests.query.stores import STATES, Asker, Parts, append, blocks, settle, trees
from tests.query.tables import call, canon, group, is_number, same, shown, values_of

slow = settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

fields = st.sampled_from(
    ["source", "level", "tag", "trace_id", "message", "a", "b", "c", "a.b", "err"]
)
by_fields = st.lists(fields, max_size=3, unique=True)
FUNCTIONS = ["count", "sum", "avg", "min", "max", "p50", "p95", "p99", "count_uniq"]
calls = st.lists(
    st.tuples(st.sampled_from(FUNCTIONS), st.sampled_from(["a", "b", "a.b"])),
    min_size=1,
    max_size=4,
    unique=True,
)
states = st.sampled_from(STATES)


@contextmanager
def store(made: Sequence[Parts], state: str) -> Iterator[tuple[Asker, list[Stored]]]:
    """A store of its own for each example."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        stored = settle(path, append(path, made), state)
        yield Asker(path), stored


def resolved(field: str) -> str:
    """As pipes read a name."""
    return field if len(field) > 3 and "." not in field else f"metadata.{field}"


def table(asker: Asker, q: str, **params: Any) -> Any:
    return asker.ask("aggregate", q=q, **params)["table"]


@slow
@given(blocks, states, trees, by_fields, calls)
def test_stats(
    made: list[Parts],
    state: str,
    tree: Node,
    by: list[str],
    asked: list[tuple[str, str]],
) -> None:
    """Each combination of values has its row, with what the functions give."""
    pipe = f"stats by ({', '.join(by)}) count()" if by else "stats count()"
    for function, field in asked:
        pipe += f", {function}({field})"
    with store(made, state) as (asker, stored):
        found = table(asker, f"({tree}) | {pipe}")

    hits = find(stored, tree)
    groups = group(hits, by)
    assert [*by, "count()", *(f"{f}({n})" for f, n in asked)] == found["columns"]
    right = {
        json.dumps([*map(shown, key), len(entries)]): entries
        for key, entries in groups.values()
    }
    rows = {
        json.dumps([*map(shown, row[: len(by)]), row[len(by)]]): row
        for row in found["rows"]
    }
    assert len(groups) == len(found["rows"])
    assert set(right) == set(rows)
    counts = [row[len(by)] for row in found["rows"]]
    assert sorted(counts, reverse=True) == counts
    if len(right) == len(groups):  # else two kinds of value look alike
        for name, row in rows.items():
            for value, (function, field) in zip(row[len(by) + 1 :], asked, strict=True):
                expected = call(function, field, right[name])
                if function.startswith("p") and type(expected) is int:
                    expected = int(float(expected))  # as the manual says
                assert same(value, expected), (function, field)
    skipped = found.get("skipped", {})
    for function, field in asked:
        if function not in ("count", "count_uniq"):
            values = [v for row in hits for v in values_of(row.entry, field)]
            bad = [v for v in values if v is not None and not is_number(v)]
            assert "tag" in by or skipped.get(f"{function}({field})", 0) == len(bad)


@slow
@given(blocks, states, trees, fields, st.integers(1, 5))
def test_top(made: list[Parts], state: str, tree: Node, field: str, n: int) -> None:
    """The most frequent values have the highest counts; null is none of them."""
    with store(made, state) as (asker, stored):
        top = table(asker, f"({tree}) | top {n} {field}")
        uniq = table(asker, f"({tree}) | uniq {field}")

    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    for row in find(stored, tree):
        for value in values_of(row.entry, field):
            if value is not None:
                counts[canon(value)] += 1
                names[canon(value)] = shown(value)
    assert [count for _, count in counts.most_common(n)] == [r[1] for r in top["rows"]]
    ours = Counter((shown(value), count) for value, count in top["rows"])
    assert ours <= Counter((names[key], count) for key, count in counts.items())
    assert Counter(names.values()) == Counter(shown(value) for (value,) in uniq["rows"])


@slow
@given(blocks, states, trees, st.sampled_from([None, "level", "source", "a", "tag"]))
def test_histogram(made: list[Parts], state: str, tree: Node, by: str | None) -> None:
    """Spans of time, empty ones too, have the entries that are in them."""
    with store(made, state) as (asker, stored):
        asked = "histogram" if by is None else f"histogram by {by}"
        window = {"since": "1969-12-31T23:00:00Z", "until": "1970-01-02T00:00:00Z"}
        found = table(asker, f"({tree}) | {asked}", **window)

    hits = [
        r
        for r in find(stored, tree)
        if -3600 * 10**9 <= r.entry.timestamp < 86400 * 10**9
    ]
    counts: Counter[str] = Counter()
    for row in hits:
        for value in [None] if by is None else values_of(row.entry, by):
            counts[shown(value)] += 1
    ours: Counter[str] = Counter()
    for row in found["rows"]:
        ours[shown(None if by is None else row[1])] += row[-1]
    assert counts == +ours
    starts = {row[0] for row in found["rows"]}
    assert len(found["rows"]) == len(starts) * (1 if by is None else max(1, len(ours)))


def rows(path: Path, entries: Sequence[Entry]) -> Asker:
    append(path, [[(0, entries)]])
    return Asker(path)


def numbered(values: Sequence[Any], field: str = "n") -> list[Entry]:
    return [Entry(at, "s", 9, "m", {field: v}, [], None) for at, v in enumerate(values)]


def test_kinds_of_values_are_groups_of_their_own(tmp_path: Path) -> None:
    """7 and 7.0 are one, "7", true and 1 are others, null and nothing are one."""
    entries = [*numbered([7, 7.0, "7", True, 1, None]), *numbered([1], "other")]
    found = table(rows(tmp_path / "a.db", entries), "| stats by (n) count() as c")

    assert sorted(map(json.dumps, found["rows"])) == (
        ['["7", 1]', "[1, 1]", "[7, 2]", "[null, 2]", "[true, 1]"]
    )


def test_integers_add_up_exactly(tmp_path: Path) -> None:
    """Also where float64 can't tell them from their neighbours."""
    large = (1 << 62) + 1
    asker = rows(tmp_path / "a.db", numbered([large, large, large, -3]))
    found = table(asker, "| stats sum(n), min(n), max(n), avg(n)")

    assert [3 * large - 3, -3, large] == found["rows"][0][:3]


def test_percentiles_are_numbers_of_the_group(tmp_path: Path) -> None:
    """The smallest that so many per cent are not above."""
    asker = rows(tmp_path / "a.db", numbered(list(range(1, 21))))
    found = table(asker, "| stats p50(n), p95(n), p99(n)")

    assert found["rows"] == [[10, 19, 20]]


def test_percentiles_of_many_numbers_are_within_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which the reply tells; groups and signs stay apart."""
    monkeypatch.setattr(percentile, "EXACT_VALUES", 50)
    monkeypatch.setattr(percentile, "CELLS_MAX", 600)
    values = [(n * 7919 % 1000 - 300) / 7 for n in range(1000)]
    entries = [
        Entry(at, "ab"[at % 2], 9, "m", {"n": value}, [], None)
        for at, value in enumerate(values)
    ]
    append(
        tmp_path / "a.db", [[(0, entries[at : at + 90])] for at in range(0, 1000, 90)]
    )
    found = table(
        Asker(tmp_path / "a.db"), "| stats by (source) p50(n), p95(n), p99(n)"
    )

    error = found["estimated"]["p95(n)"]
    assert 0 < error <= 1 / 32
    for name, *got in found["rows"]:
        ours = sorted(v for at, v in enumerate(values) if "ab"[at % 2] == name)
        for percent, value in zip((50, 95, 99), got, strict=True):
            exact = ours[-(-len(ours) * percent // 100) - 1]
            assert abs(value - exact) <= error * abs(exact)


def test_many_values_are_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """count_uniq says how far off it may be; small groups stay exact."""
    monkeypatch.setattr(distinct, "KEPT", 3000)
    monkeypatch.setattr(distinct, "_WAITING", 1000)
    entries = [
        Entry(at, "big" if at % 100 else "small", 9, "m", {"n": f"v{at}"}, [], None)
        for at in range(20_000)
    ]
    append(
        tmp_path / "a.db",
        [[(0, entries[at : at + 4000])] for at in range(0, 20_000, 4000)],
    )
    found = table(Asker(tmp_path / "a.db"), "| stats by (source) count_uniq(n)")

    (_, big), small = found["rows"]
    error = found["estimated"]["count_uniq(n)"]
    assert small == ["small", 200]
    assert abs(big - 19_800) <= 2 * error * 19_800


def test_more_groups_than_allowed_are_refused(tmp_path: Path) -> None:
    """A table that misses groups would be wrong."""
    rows(tmp_path / "a.db", numbered(list(range(50))))
    asker = Asker(tmp_path / "a.db", Limits(groups=49))

    with pytest.raises(FieldError, match="more than 49 groups"):
        table(asker, "| stats by (n) count()")
    assert len(table(asker, "n:<20 | stats by (n) count()")["rows"]) == 20


def test_more_rows_than_a_reply_has_are_cut(tmp_path: Path) -> None:
    """And the reply says so; a limit of one's own is no cut."""
    rows(tmp_path / "a.db", numbered(list(range(50))))
    asker = Asker(tmp_path / "a.db", Limits(rows=10))
    cut = table(asker, "| stats by (n) count()")
    limited = table(asker, "| stats by (n) max(n) as m | sort m desc | limit 3")

    assert (len(cut["rows"]), cut["truncated"]) == (10, True)
    assert (
        limited["rows"],
        limited["truncated"],
    ) == ([[49, 49], [48, 48], [47, 47]], False)


def test_pipes_after_a_table(tmp_path: Path) -> None:
    """Sorted by values, of which those of another kind and null come last."""
    asker = rows(tmp_path / "a.db", numbered([3, 1, "x", None, 2, 1]))
    found = table(asker, "| stats by (n) count() as c | sort n | fields c, n | limit 4")

    assert found["columns"] == ["c", "n"]
    assert found["rows"] == [[2, 1], [1, 2], [1, 3], [1, "x"]]


def test_nothing_that_matches(tmp_path: Path) -> None:
    """Without groups there is the one row of all; with groups none."""
    asker = rows(tmp_path / "a.db", numbered([1]))

    assert table(asker, "absent | stats count(), p95(n)")["rows"] == [[0, None]]
    assert table(asker, "absent | stats by (n) count()")["rows"] == []
    assert table(Asker(tmp_path / "none.db"), "| histogram 1m")["rows"] == []


def test_first_and_last_times(tmp_path: Path) -> None:
    """As times, not as numbers."""
    asker = rows(tmp_path / "a.db", numbered([1, 1, 1]))
    (row,) = table(asker, "| stats min(timestamp), max(timestamp)")["rows"]

    assert row == ["1970-01-01T00:00:00.000000000Z", "1970-01-01T00:00:00.000000002Z"]


@slow
@given(blocks, states, trees, st.booleans(), st.integers(1, 6))
def test_sorted_entries(
    made: list[Parts], state: str, tree: Node, descending: bool, n: int
) -> None:
    """By value, those without one last, equal ones newest first."""
    with store(made, state) as (asker, stored):
        order = "desc" if descending else "asc"
        q = f"({tree}) | sort a {order} | limit {n} | fields id, a"
        reply = asker.ask("query", q=q)

    found = find(stored, tree)
    valued = [(values_of(row.entry, "a")[0], row) for row in found]
    some = [(value, row) for value, row in valued if value is not None]
    some.sort(key=lambda pair: rank(pair[0]), reverse=descending)
    right = [row.id for _, row in some] + [row.id for v, row in valued if v is None]
    assert [log["id"] for log in reply["logs"]] == right[:n]
    assert reply["count"] == len(found)
    assert all(set(log) <= {"id", "metadata"} for log in reply["logs"])


def test_sorted_where_the_first_block_has_as_many_as_wanted(tmp_path: Path) -> None:
    """Its last by value, not the last that was found, is what others must precede."""
    first = numbered([None, 8, 2, 4])
    later = [entry._replace(timestamp=0) for entry in numbered([6])]
    append(tmp_path / "a.db", [[(0, first)], [(0, later)]])
    reply = Asker(tmp_path / "a.db").ask("query", q="| sort n | limit 4 | fields n")

    assert [log["metadata"].get("n") for log in reply["logs"]] == [2, 4, 6, 8]


def test_sorted_among_many(tmp_path: Path) -> None:
    """Blocks of more rows than are looked at one by one; ties are not lost."""
    entries = numbered([at * 7919 % 1500 for at in range(5000)])
    asker = rows(tmp_path / "a.db", entries)
    reply = asker.ask("query", q="| sort n desc | limit 5 | fields timestamp, n")
    first = asker.ask("query", q="| limit 50 | sort n | limit 2")

    numbers = [entry.metadata["n"] for entry in entries if entry.metadata]
    best = sorted(range(5000), key=lambda at: (-numbers[at], -at))[:5]
    assert [log["metadata"]["n"] for log in reply["logs"]] == [
        numbers[at] for at in best
    ]
    assert [int(log["timestamp"][-5:-1]) for log in reply["logs"]] == best
    assert [log["metadata"]["n"] for log in first["logs"]] == sorted(numbers[-50:])[:2]


def test_query_and_search_take_tables(tmp_path: Path) -> None:
    """The same table as `aggregate`, and no entries."""
    asker = rows(tmp_path / "a.db", numbered([1, 2, 2]))
    q = "| top 5 n"
    first = asker.ask("query", q=q)

    assert first["table"] == table(asker, q) == asker.ask("search", query=q)["table"]
    assert (first["logs"], first["table"]["rows"]) == ([], [[2, 2], [1, 1]])


def test_fields_keep_the_pages(tmp_path: Path) -> None:
    """`| fields` alone is only what each entry shows."""
    asker = rows(tmp_path / "a.db", numbered([1, 2, 3]))
    pages = asker.pages("query", q="* | fields n", limit=2)

    assert [log for page in pages for log in page["logs"]] == (
        [{"metadata": {"n": n}} for n in (3, 2, 1)]
    )
