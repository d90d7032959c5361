"""Texts, tables and charts as a terminal gets them, without one."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.printable import as_json, cut, on_lines, on_one_line, padded, width
from pipeline.cli.rendering import EntryLines, short_time, value_text
from pipeline.cli.tables import Table, aligned, bar, separated, sparkline, with_bars
from pipeline.cli.trace import lines as trace_lines
from pipeline.cli.trace import milliseconds
from tests.cli.shell import EVIL, dangerous

TABLE = Table(
    ["name", "n", "ms"], [["api", 1_200, 0.5], ["데이", 7, None], ["a\tb\n", 70, 12.25]]
)


@given(st.text())
def test_no_text_commands_the_terminal(text):
    """Whatever it is; and what is harmless stays as it is."""
    assert dangerous(on_lines(text)) == set()
    assert dangerous(on_one_line(text)) == set()
    assert set(on_one_line(text)) & {"\n", "\t"} == set()
    if text.isprintable():
        assert on_lines(text) == on_one_line(text) == text


@given(st.text(st.characters(codec="utf-8")))
def test_json_means_the_same(text):
    """And is as harmless, also beyond 16 bits."""
    line = json.dumps({text: [text]}, ensure_ascii=False).encode()

    assert json.loads(as_json(line)) == {text: [text]}
    assert dangerous(as_json(line).decode()) == set()


def test_codes_are_told():
    """As Python writes them; CRLF is a line break and no code."""
    assert on_lines("a\x1b[1m\r\nb\rc\x9b\u202e\U000e0041") == (
        "a\\x1b[1m\nb\\rc\\x9b\\u202e\\U000e0041"
    )
    assert on_one_line("a\tb\n") == "a\\tb\\n"


def test_joiners_and_accents_stay():
    """Scripts and pictures are made of them; they take no column."""
    text = "e\u0301 \u0928\u0940 👩\u200d🚀"

    assert on_lines(text) == text
    assert width("e\u0301") == 1
    assert width("데이") == 4


def test_texts_are_cut_and_padded_by_columns():
    """A wide character is never cut in half."""
    assert cut("데이터", 4) == "데…"
    assert cut("abc", 3) == "abc"
    assert padded("데", 4) == "데  "
    assert padded("7", 3, right=True) == "  7"


def test_tables_are_aligned_for_people():
    """Numbers on the right, with separators; nothing for null."""
    assert aligned(TABLE) == [
        "name        n     ms",
        "api     1,200    0.5",
        "데이        7",
        "a\\tb\\n     70  12.25",
    ]


def test_tables_have_tabs_for_programs():
    """Numbers as they are; a tab within a value is none of them."""
    assert separated(TABLE) == [
        *("name\tn\tms", "api\t1200\t0.5", "데이\t7\t", "a\\tb\\n\t70\t12.25")
    ]


def test_charts_are_to_scale():
    """The most is the full length, and what there is is seen."""
    assert [bar(n, 8, 2) for n in (8, 4, 1, 0)] == ["██", "█", "▎", ""]
    assert bar(1, 10_000, 10) == "▏"
    assert sparkline([0, 1, 4, 8], 10) == "▁▂▅█"
    assert sparkline([1] * 20, 10) == "█" * 10
    assert sparkline([0, 0], 10) == "▁▁"
    assert with_bars(TABLE, 1, 40)[1].endswith("█" * 18)
    assert with_bars(TABLE, 1, 25) == aligned(TABLE)


def test_values_of_metadata_can_be_told_apart():
    """Text with blanks has quotes, all else is JSON."""
    assert [value_text(v) for v in ("a", "a b", "", 7, None, [1, {"b": "c"}])] == [
        *("a", '"a b"', '""', "7", "null", '[1,{"b":"c"}]')
    ]
    assert dangerous(value_text({EVIL: [EVIL]})) == set()


def test_odd_entries_are_shown_too():
    """A gateway of another version may leave out or add what it likes."""
    shown = EntryLines(colour=False)

    assert shown.text({}).strip() == ""
    assert shown.text({"message": 7, "level": "odd", "source": None}) != ""
    assert short_time("2026-11-22T14:59:12.369767202Z") == "2026-11-22T14:59:12.369Z"
    assert short_time("soon") == "soon"


def test_lengths_of_time_have_their_unit():
    """Of milliseconds."""
    assert [
        milliseconds(v) for v in (0, 0.25, 12.5, 250, 1_500, 90_000, 5_400_000)
    ] == [*("0 ms", "0.25 ms", "12.5 ms", "250 ms", "1.50 s", "1.50 m", "1.50 h")]


def test_a_trace_shows_when_each_source_worked():
    """A bar begins where the source does."""
    source = {"count": 1, "errors": 0}
    found = {
        "trace_id": "t",
        "count": 2,
        "errors": 1,
        "span_ms": 100.0,
        "sources": [
            source | {"source": "web", "span_ms": 100.0, "offset_ms": 0.0},
            source | {"source": "데이터", "span_ms": 25.0, "offset_ms": 50.0},
        ],
        "logs": [],
        "truncated": True,
        "returned": 0,
    }

    first, _, _, web, database, *rest = trace_lines(found, [], colour=False)
    assert first == "t: 2 entries in 100 ms, 1 errors"
    assert web == "web           1       0  100 ms  " + "━" * 40
    assert database == "데이터        1       0  25 ms   " + " " * 20 + "━" * 10
    assert rest[-1] == "and 2 more entries, which --limit shows"
