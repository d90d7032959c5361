"""Commands that sum up or look at one entry: stats, patterns, trace, explain, get."""

from __future__ import annotations

import json

import pytest

from tests.cli.shell import Shell, entry, evil, fill
from tests.query.stores import Asker

SPAN = "2026-11-18T11:07:00Z/2026-11-18T11:08:00Z"


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Over 60 entries."""
    path = tmp_path_factory.mktemp("overviews") / "logs.db"
    fill(path, [entry(number) for number in range(60)])
    return Shell(path)


@pytest.fixture
def asker(shell):
    """The engine itself."""
    return Asker(shell.database)


def _without_times(reply):
    return {name: value for name, value in reply.items() if name not in _TIMES}


_TIMES = ("took_ms", "steps", "bytes_read")


@pytest.mark.parametrize(
    ("words", "method", "params"),
    [
        (["stats", "level:error"], "get_stats", {"q": "level:error"}),
        (["stats", "--group-by", "level"], "get_stats", {"group_by": "level"}),
        (["trace", "trace-3"], "get_trace", {"trace_id": "trace-3"}),
        (["explain", "nothing"], "explain", {"q": "nothing"}),
        (["describe"], "describe", {}),
        (
            ["patterns", "--timerange", SPAN, "--compare-to", "30s"],
            "patterns",
            {"timerange": SPAN, "compare_to": "30s", "buckets": 0},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_json_is_the_method_s_reply(shell, asker, words, method, params):
    """On one line."""
    [reply] = shell.maps(*words)

    assert _without_times(reply) == _without_times(asker.ask(method, **params))


def test_counts_have_tabs_in_a_pipe(shell):
    """Every source and level, whatever a terminal would show."""
    lines = shell.lines("stats", "--min-level", "error")

    assert lines[:2] == ["of\tname\tentries", "total\t\t20"]
    assert set(lines[2:4]) == {"source\tweb\t10", "source\t데이터베이스\t10"}
    assert lines[-2:] == ["level\tERROR\t10", "level\tFATAL\t10"]


def test_groups_are_a_table(shell):
    """With what was asked for as the first column."""
    lines = shell.lines("stats", "--group-by", "minute")

    assert lines[0] == "minute\tentries\terrors"
    assert [line.split("\t")[1:] for line in lines[1:]] == [["20", "6"], ["40", "14"]]


def test_a_terminal_gets_charts(shell):
    """The sum, its course, bars of sources and levels."""
    _, shown = shell.on_terminal("stats")
    lines = shown.splitlines()

    assert lines[0] == "60 entries, 33.33% errors"
    assert set(lines[1]) == {"█"}
    assert any(line.startswith("web") and line.endswith("█") for line in lines)
    assert any(line.startswith("FATAL") and line.endswith("█") for line in lines)


def test_patterns_are_counted(shell):
    """Variables are one; in a pipe with first and last seen and the id."""
    head, row = shell.lines("patterns", "--limit", "1")

    assert row.split("\t")[:2] == ["request <*> took <*> ms", "60"]
    assert head.split("\t")[-3:] == ["first_seen", "last_seen", "id"]
    [only] = shell.maps("patterns", "level:error")
    assert (only["pattern"], only["count"]) == ("request <*> took <*> ms", 10)


def test_patterns_stand_last_for_people(shell):
    """Since they are long."""
    _, shown = shell.on_terminal("patterns")

    assert shown.splitlines()[1].endswith(
        "2026-11-18T11:07:39.000Z  request <*> took <*> ms"
    )


def test_patterns_of_two_windows(shell):
    """What is new, has vanished or changed; FROM/TO is any window."""
    window = ["patterns", "--timerange", SPAN, "--compare-to"]
    head, row = shell.lines(*window, "1m")
    same = shell.here(*window, SPAN)

    assert head == "what\tentries\tbefore\tchange\tpattern"
    assert row == "changed\t40\t20\t2.0\trequest <*> took <*> ms"
    assert same[:2] == (0, "")


def test_a_description_is_for_people_and_programs(shell):
    """Volume and span first, then sources and fields; in a pipe a table of these."""
    _, shown = shell.on_terminal("describe")
    lines = shell.lines("describe")

    assert shown.startswith("60 entries, ")
    assert "metadata.duration_ms" in shown
    assert lines[:2] == ["of\tname\tentries", "total\t\t60"]
    assert "source\tweb\t20" in lines
    assert "field\tmetadata.path\t60" in lines


def test_a_trace_is_in_time_order(shell):
    """With what passed since its begin and since the entry before."""
    lines = shell.lines("trace", "trace-3")

    assert lines[0] == "trace-3: 5 entries in 4.00 s, 2 errors"
    assert [line.split("request ")[1][:2] for line in lines[7:]] == [
        *("15", "16", "17", "18", "19")
    ]
    assert lines[8].split()[:4] == ["1.00", "s", "+1.00", "s"]
    assert shell.lines("trace", "none") == ["no entry has the trace id none"]


def test_an_explanation_is_for_people(shell):
    """The meaning first, and each condition alone when nothing matches."""
    lines = shell.lines("explain", "level:error", "request", "took:7")
    text = "\n".join(lines)

    assert "level is" in lines[0]
    assert "entries  60: " in text
    assert "0 match" in text
    assert ["level:error", "10"] in [line.split() for line in lines]


def test_an_entry_is_shown_whole(shell):
    """Each field and each key of its metadata on a line of its own."""
    [log] = shell.maps("query", "-n", "1")
    lines = shell.lines("get", log["id"])

    assert lines[0].split() == ["id", log["id"]]
    assert [line.split() for line in lines[5:7]] == [
        ["metadata", "path=/p/3"],
        ["duration_ms=29.5"],
    ]
    assert shell.maps("get", log["id"]) == [log]


def test_what_is_no_id_is_misuse(shell):
    """Exit code 2."""
    code, _, errors = shell.here("get", "nonsense")

    assert code == 2
    assert errors.startswith("pipeline get: ID: ")


def test_neighbours_are_marked_off(shell):
    """Of the same source, or of all."""
    [log] = shell.maps("query", '"request 30"')
    lines = shell.lines("context", log["id"], "-B", "1", "-A", "0")
    every = shell.maps("context", log["id"], "-B", "1", "-A", "1", "--all")

    assert [line[0] for line in lines] == [" ", ">"]
    assert [each["message"].split()[1] for each in every] == ["29", "30", "31"]


def test_overviews_can_not_command_the_terminal(tmp_path):
    """Sources, patterns and conditions are senders' texts, too."""
    fill(tmp_path / "logs.db", [evil(number) for number in range(4)])
    shell = Shell(tmp_path / "logs.db")
    for words in (("patterns",), ("explain", "x\x9by"), ("stats",), ("describe",)):
        _, shown = shell.on_terminal(*words, "--color", "never")
        assert "\x1b" not in shown, words
        assert "\x9b" not in shown, words
        assert "\u202e" not in json.dumps(shown, ensure_ascii=False), words
