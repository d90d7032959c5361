"""What stages read is metadata for all behind them, as one finds entry by entry."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry
from pipeline.query import derived
from pipeline.query.answer import Limits
from pipeline.query.budget import CancelledError, CostError
from pipeline.query.parser import parse_query
from pipeline.query.requests import FieldError
from pipeline.query.stages import Extract, Json, Logfmt, Stage, Where
from pipeline.query.syntax import Node
from pipeline.query.tables import rank
from tests.query import stores
from tests.query.oracle import find
from tests.query.questions import KEYS, trees
from tests.query.staged import all_through
from tests.query.stores import STATES, Asker, Parts, append, ids, settle
from tests.query.tables import canon, group, shown, values_of

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
slow = settings(
    deadline=None,
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)

plain = st.one_of(
    stores.texts,
    st.none(),
    st.booleans(),
    st.sampled_from([7, 7.0, 0, -7, 1 << 53, (1 << 64) - 1, 0.5, 1e300]),
)
nested = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=2)
    ),
    max_leaves=4,
)
objects = st.dictionaries(st.sampled_from(KEYS), nested, max_size=3)
words = st.sampled_from(
    [
        "7",
        "-7",
        "007",
        "0.50",
        "1e3",
        "err",
        '"a b"',
        '"a\\"b"',
        '"a',
        "",
        "서버",
        '\\"x"',
    ]
)
pairs = st.lists(
    st.tuples(st.sampled_from([*KEYS, "é"]), words).map("=".join)
    | st.sampled_from(["err", "=x", '"q"', "a=b=c"]),
    max_size=4,
).map(" ".join)
messages = st.one_of(
    objects.map(json.dumps),
    objects.map(lambda found: json.dumps(found, ensure_ascii=False, indent=1)),
    pairs,
    stores.texts,
    st.sampled_from(["{", "[1]", '{"a": NaN}', '{"a": 1} x', ' {"a":1,"a":2}\n']),
)
entries = st.builds(
    lambda entry, message, own: entry._replace(
        message=message, metadata={**(entry.metadata or {}), **own}
    ),
    stores.entries,
    messages,
    st.dictionaries(st.sampled_from(["a", "c"]), messages, max_size=1),
)
blocks = st.lists(
    st.lists(
        st.tuples(st.integers(0, 2), st.lists(entries, min_size=1, max_size=5)),
        min_size=1,
        max_size=3,
    ),
    min_size=1,
    max_size=4,
)
fields = st.sampled_from(["message", "message", "a", "c", "a.b", "source", "trace_id"])
some_keys = st.just(()) | st.lists(st.sampled_from(KEYS), max_size=2).map(tuple)
prefixes = st.sampled_from(["", "", "a", "a."])
patterns = st.sampled_from(
    ["<a>", "<a> <b>", "<_>a<b>", "<a>=<_> <c>", "a=<a.b> ", "e<a>r<b>", '<_>"<a>"<c>']
)
stages = st.lists(
    st.one_of(
        st.builds(Json, fields, some_keys, prefixes),
        st.builds(Logfmt, fields, some_keys, prefixes),
        st.builds(Extract, patterns, fields),
        trees.map(Where),
    ),
    min_size=1,
    max_size=3,
)
states = st.sampled_from(STATES)
WINDOW = {"since": "1970-01-01T00:00:00Z", "until": "1970-01-02T00:00:00Z"}
by_fields = st.sampled_from(["a", "b", "c", "a.b", "a.a", "level", "tag"])


def text_of(tree: Node, some: Sequence[Stage]) -> str:
    return " | ".join([f"({tree})", *map(str, some)])


@slow
@given(blocks, states, trees, stages, st.booleans())
def test_engine_and_oracle_agree(
    made: list[Parts], state: str, tree: Node, some: list[Stage], descending: bool
) -> None:
    """On entries, their order, number and metadata, on each page and sorted."""
    text = text_of(tree, some)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        stored = settle(path, append(path, made), state)
        asker = Asker(path)
        whole = asker.ask("query", q=text, limit=1_000)
        pages = asker.pages("search", query=text, limit=2)
        again = asker.ask("query", q=text, limit=1_000)
        total = asker.ask("get_stats", q=text)["total_logs"]
        order = "desc" if descending else "asc"
        ordered = asker.ask("query", q=f"{text} | sort a {order} | limit 4")

    query = parse_query(text)
    right = all_through(find(stored, query.filter), query.stages)
    assert [row.id for row in right] == ids([whole]) == ids(pages) == ids([again])
    assert len(right) == whole["count"] == total
    for row, log in zip(right, whole["logs"], strict=True):
        assert canon(row.entry.metadata or {}) == canon(log["metadata"])
    valued = [(values_of(row.entry, "a")[0], row.id) for row in right]
    some_ids = [pair for pair in valued if pair[0] is not None]
    some_ids.sort(key=lambda pair: rank(pair[0]), reverse=descending)
    others = [pair for pair in valued if pair[0] is None]
    assert [name for _, name in some_ids + others][:4] == ids([ordered])


@slow
@given(blocks, states, trees, stages, by_fields)
def test_tables(
    made: list[Parts], state: str, tree: Node, some: list[Stage], by: str
) -> None:
    """Groups, frequent values and histograms are of what was read."""
    text = text_of(tree, some)
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "logs.db"
        stored = settle(path, append(path, made), state)
        asker = Asker(path)
        stats = asker.ask("aggregate", q=f"{text} | stats by ({by}) count(), max(b)")
        uniq = asker.ask("aggregate", q=f"{text} | uniq {by}")
        series = asker.ask("histogram", q=text, by=by, **WINDOW)

    query = parse_query(text)
    right = all_through(find(stored, query.filter), query.stages)
    field = by if by in ("level", "tag") else f"metadata.{by}"
    groups = group(right, [field])
    counts = Counter(shown(key[0]) for key, rows in groups.values() for _ in rows)
    found: Counter[str] = Counter()
    for value, count, _ in stats["table"]["rows"]:
        found[shown(value)] += count
    assert counts == found
    kept = [key[0] for key, _ in groups.values() if key[0] is not None]
    assert Counter(map(shown, kept)) == Counter(
        shown(value) for (value,) in uniq["table"]["rows"]
    )
    inside = [0 <= row.entry.timestamp < 86_400 * 10**9 for row in right]
    assert series["total"] == sum(inside)


def logged(folder: Path, texts: Sequence[str], **fields: Any) -> Asker:
    rows = [Entry(at, "s", 9, text, fields, [], None) for at, text in enumerate(texts)]
    append(folder / "a.db", [[(0, rows)]])
    return Asker(folder / "a.db")


def table(asker: Asker, q: str) -> Any:
    return asker.ask("aggregate", q=q)["table"]["rows"]


def test_numbers_in_texts_are_numbers(tmp_path: Path) -> None:
    """They compare and add up; what only looks like one stays a text."""
    asker = logged(tmp_path, ["ms=20 id=007", "ms=100 id=7", "ms=fast"])

    assert table(asker, "| logfmt | filter ms:>30 | stats count(), sum(ms)") == [
        [1, 100]
    ]
    assert table(asker, "| logfmt | stats max(ms), count_uniq(id)") == [[100, 2]]


def test_lines_of_another_form_lose_nothing(tmp_path: Path) -> None:
    """They have no such field, and are entries as before."""
    asker = logged(tmp_path, ['{"a": 1}', "no json", '{"a": ', "[1]"], b=2)

    assert table(asker, "| json | stats count(), count(a), count(b)") == [[4, 1, 4]]


def test_what_is_read_comes_before_what_an_entry_has(tmp_path: Path) -> None:
    """Of the same name, where there is one; with a prefix both are there."""
    asker = logged(tmp_path, ["a=1", "-"], a="own")

    assert table(asker, "| logfmt | uniq a") == [[1], ["own"]]
    assert table(asker, '| logfmt prefix "x_" | stats by (a, x_a) count()') == [
        ["own", 1, 1],
        ["own", None, 1],
    ]


def test_names_of_entries_stay_theirs(tmp_path: Path) -> None:
    """A level that was read is `metadata.level`."""
    asker = logged(tmp_path, ['{"level": "loud"}'])

    assert table(asker, "| json | stats by (level, metadata.level) count()") == [
        ["INFO", "loud", 1]
    ]
    assert table(
        asker, "| json | filter metadata.level:loud level:info | stats count()"
    )


def test_stages_read_what_stages_read(tmp_path: Path) -> None:
    """JSON in a pair, a pair in JSON."""
    asker = logged(tmp_path, ['{"in": "ms=5 to={\\"x\\":1}"}'])

    assert table(
        asker, "| json | logfmt from in | json from to | stats sum(x), sum(ms)"
    )[0] == [1, 5]


def test_only_rows_that_the_filter_leaves_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of these only those that a page shows."""
    asker = logged(
        tmp_path, [f"{'odd' if n % 2 else 'even'} n={n}" for n in range(400)]
    )
    read: list[str] = []
    monkeypatch.setattr(
        derived, "reader_of", lambda *_: lambda text: read.append(text) or {}
    )
    asker.ask("query", q="odd | logfmt", limit=5)
    page = len(read)
    asker.ask("aggregate", q="odd | logfmt | top 5 n")

    assert page == 5 + 1
    assert len(read) == page + 200
    assert all(text.startswith("odd") for text in read)


def test_tail_goes_through_stages(tmp_path: Path) -> None:
    """Only new entries that their conditions keep."""
    asker = logged(tmp_path, ["n=1"])
    rows = [Entry(9, "s", 9, f"n={n}", {}, [], None) for n in range(4)]
    append(tmp_path / "a.db", [[(1, rows)]], first=10)
    found = asker.ask("tail", q="* | logfmt | filter n:>2 | fields n", after_block=1)

    assert found["logs"] == [{"metadata": {"n": 3}}]


def test_an_export_goes_through_stages(tmp_path: Path) -> None:
    """A column of what was read."""
    asker = logged(tmp_path, ["n=1", "n=2"])
    found = asker.ask(
        "export", q="| logfmt | filter n:>1", format="csv", fields=["metadata.n"]
    )

    assert found["text"] == "metadata.n\r\n2\r\n"


def test_context_shows_what_is_read(tmp_path: Path) -> None:
    """Of the entries around a hit too."""
    asker = logged(tmp_path, ["n=1", "n=2 x", "n=3"])
    found = asker.ask("search", query="x | logfmt | fields n, timestamp", context=1)

    assert [log["metadata"]["n"] for log in found["logs"]] == [3, 2, 1]


def test_a_delete_takes_no_stages(tmp_path: Path) -> None:
    """What goes is what a filter says."""
    asker = logged(tmp_path, ["n=1"])

    with pytest.raises(FieldError, match="no pipe can stand here"):
        asker.ask("delete", q="| logfmt | filter n:1")


def test_a_page_is_not_taken_for_that_of_other_stages(tmp_path: Path) -> None:
    """Rows that are remembered belong to what was read of them."""
    asker = logged(tmp_path, ['{"a": 1} b=2'])
    shown = [
        asker.ask("query", q=f"* {pipe}")["logs"][0]["metadata"]
        for pipe in ("", "| logfmt", "| json", '| extract "<c> b"', "| logfmt")
    ]

    assert shown == [{}, {"b": 2}, {}, {"c": '{"a": 1}'}, {"b": 2}]


def test_costs_hold(tmp_path: Path) -> None:
    """The rows, the time and the asker's patience."""
    logged(tmp_path, [f"n={n}" for n in range(2_000)])
    asker = Asker(tmp_path / "a.db", Limits(rows_scanned=1_999))
    with pytest.raises(CostError, match="more than 1,999 entries"):
        table(asker, "| logfmt | top 3 n")
    engine = Asker(tmp_path / "a.db").engine
    looks = iter(range(100))
    budget = engine.budget(cancelled=lambda: next(looks) > 8)
    with pytest.raises(CancelledError):
        engine.answer("aggregate", {"q": "| logfmt | filter n:>5 | top 3 n"}, 0, budget)


def test_what_is_read_of_a_block_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of too much is refused; conditions and pages look at pieces."""
    monkeypatch.setattr(derived, "DERIVED_BYTES", 40_000)
    monkeypatch.setattr(derived, "_HELD_BYTES", 10_000)
    asker = logged(tmp_path, [f"n={n} t={'x' * 100}{n}" for n in range(1_000)])

    with pytest.raises(FieldError, match="of fields in one block"):
        table(asker, "| logfmt | top 3 t")
    assert table(asker, "| logfmt | filter t:*x7* | stats count()") == [[111]]
    assert asker.ask("query", q="| logfmt | filter xxx n:>3")["count"] == 0
