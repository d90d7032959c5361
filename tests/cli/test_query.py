"""`pipeline query` and `search`: what is shown, of which entries, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.cli.shell import COMMAND, Following, Shell, dangerous, entry, evil, fill
from tests.query.stores import Asker


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Over 60 entries."""
    path = tmp_path_factory.mktemp("query") / "logs.db"
    fill(path, [entry(number) for number in range(60)])
    return Shell(path)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Over an entry that commands terminals, among others."""
    path = tmp_path_factory.mktemp("hostile") / "logs.db"
    fill(path, [entry(0), entry(1), evil(2), evil(3)])
    return Shell(path)


def test_an_entry_is_a_line_for_people(shell):
    """Time, level, source, message, and what else there is."""
    assert shell.lines("query", "-n", "1") == [
        "2026-11-18T11:07:39.000Z  FATAL  데이터베이스  request 59 took 3 ms  "
        "path=/p/3 duration_ms=29.5 trace_id=trace-11 #t1"
    ]


def test_sources_are_aligned_by_columns(shell):
    """A wide character takes two."""
    lines = shell.lines("query", "-n", "3", "--order", "asc")

    assert [line[25:].partition("request")[0] for line in lines] == [
        " TRACE  api           ",
        " DEBUG  web           ",
        " INFO   데이터베이스  ",
    ]


def test_json_is_what_the_method_answers(shell):
    """An entry a line, each as `query` has it."""
    logs = Asker(shell.database).ask("query", limit=5)["logs"]

    assert shell.maps("query", "-n", "5") == logs


@pytest.mark.parametrize(
    ("options", "params"),
    [
        (["--level", "error,fatal"], {"levels": ["error", "fatal"]}),
        (["--level", "error", "--level", "info"], {"levels": ["error", "info"]}),
        (["--min-level", "warn"], {"min_level": "warn"}),
        (["--source", "api", "--source", "web"], {"sources": ["api", "web"]}),
        (["--tag", "t1"], {"tags": ["t1"]}),
        (["--trace-id", "trace-3"], {"trace_id": "trace-3"}),
        (["--since", "2026-11-18T11:07:00Z"], {"since": "2026-11-18T11:07:00Z"}),
        (["--until", "2026-11-18T11:07:00Z"], {"until": "2026-11-18T11:07:00Z"}),
        (
            ["--timerange", "2026-11-18T11:07:00Z/2026-11-18T11:07:05Z"],
            {"since": "2026-11-18T11:07:00Z", "until": "2026-11-18T11:07:05Z"},
        ),
        (["took", "--source", "api", "level:trace"], {"q": "took level:trace"}),
        (["--order", "asc"], {"order": "asc"}),
        (["--fields", "message, metadata.path"], {"fields": ["message"]}),
    ],
)
def test_options_are_the_method_s_parameters(shell, options, params):
    """The same entries."""
    shown = [log["message"] for log in shell.maps("query", *options)]
    if "took" in options:
        params = params | {"sources": ["api"]}
    logs = Asker(shell.database).ask("query", **params)["logs"]

    assert shown == [log["message"] for log in logs]
    assert shown


def test_fields_are_columns_in_their_order(shell):
    """Separated by tabs, and empty where there is none."""
    words = ("query", "-n", "1", "--fields", "metadata.path,message,metadata.none,tags")

    assert shell.lines(*words) == ['/p/3\trequest 59 took 3 ms\t\t["t1"]']


def test_all_pages_are_shown_once(tmp_path):
    """More entries than a reply may have."""
    shell = Shell(tmp_path / "logs.db", PIPELINE_QUERY__MAX_ROWS="1000")
    fill(shell.database, [entry(number) for number in range(2_500)])
    everything = shell.maps("query", "--limit", "0", "--order", "asc")
    some = shell.maps("query", "--limit", "2100", "--order", "asc")

    assert [log["message"].split()[1] for log in everything] == [
        str(number) for number in range(2_500)
    ]
    assert some == everything[:2_100]


def test_counting_is_one_number(shell):
    """Of all that match, whatever the limit."""
    assert shell.lines("query", "--count", "level:error", "-n", "3") == ["10"]
    assert shell.lines("query", "--count", "nothing") == ["0"]


def test_a_limit_that_is_met_says_how_far_it_came(shell):
    """And ends with 1: the answer isn't known."""
    narrow = Shell(shell.database, PIPELINE_QUERY__MAX_ROWS_SCANNED="1")
    code, out, errors = narrow.here("query", "--count", "took")

    assert (code, out) == (1, "")
    assert ": 0 entries looked at, 0 of " in errors


def test_behind_two_dashes_are_words(shell):
    """So a query may begin with a word that must not be there."""
    everything = int(shell.lines("query", "--count")[0])

    counted = shell.lines("query", "--count", "--", "-level:error")
    assert counted == [str(everything - 10)]


def test_nothing_found_is_an_answer(shell):
    """No output and no error."""
    assert shell.here("query", "nothing") == (0, "", "")


def test_a_wrong_query_is_shown_with_a_caret(shell):
    """And what to write instead; exit code 2."""
    code, out, errors = shell.here("query", "timeout", "level:EROR2")

    assert (code, out) == (2, "")
    first, text, caret, hint = errors.splitlines()
    assert first == "pipeline query: 'EROR2' is no level"
    assert text == "  timeout level:EROR2"
    assert caret == "  " + " " * text[2:].index("EROR2") + "^"
    assert "ERROR" in hint


def test_a_wrong_option_is_named(shell):
    """As it is written, not as the parameter is called."""
    code, _, errors = shell.here("query", "--level", "loud")

    assert code == 2
    assert errors.startswith("pipeline query: --level: ")


def test_without_a_database_it_says_which(tmp_path):
    """Exit code 1, one line, and what to do."""
    code, out, errors = Shell(tmp_path / "none.db").run("query")

    assert (code, out) == (1, "")
    assert "there is no database" in errors
    assert "none.db" in errors
    assert errors.count("\n") == 1


def test_the_database_may_be_named(shell, tmp_path):
    """Instead of the setting."""
    other = Shell(tmp_path / "none.db")

    assert other.lines("query", "--count", "--db", str(shell.database)) == ["60"]


@pytest.mark.parametrize("command", ["query", "export"])
def test_a_reader_that_leaves_ends_it_in_silence(shell, command):
    """By SIGPIPE, as any other program in front of `head`."""
    with shell.start(command) as child:
        child.stdout.close()
        errors = child.stderr.read()

    assert (child.wait(), errors) == (-signal.SIGPIPE, b"")


def test_head_gets_its_line(shell):
    """And the shell goes on."""
    words = f"{' '.join(COMMAND)} query | head -1"
    done = subprocess.run(
        words, shell=True, env=shell.environment, capture_output=True, check=True
    )

    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


def test_search_shows_what_stands_around(shell):
    """Hits are marked, also where there are no colours."""
    lines = shell.lines("search", '"request 30"', "-C", "1", "--order", "asc")

    assert [line[0] for line in lines] == [" ", ">", " "]
    assert [line.split("request ")[1][:2] for line in lines] == ["27", "30", "33"]


def test_search_without_context_is_query(shell):
    """Only the flag is more."""
    [log] = shell.maps("search", '"request 30"')

    assert log.pop("context") is False
    assert [log] == shell.maps("query", '"request 30"')


def test_a_query_may_make_a_table(shell):
    """Tabs between the columns when it is piped, a row a line with --json."""
    query = "| stats by (source) count() as n | sort source"

    assert shell.lines("query", query) == [
        *("source\tn", "api\t20", "web\t20", "데이터베이스\t20")
    ]
    assert shell.maps("query", query)[0] == {"source": "api", "n": 20}


def test_a_terminal_gets_bars_beside_counts(shell):
    """And the columns aligned."""
    _, shown = shell.on_terminal("query", "| top 2 level")
    head, *rows = shown.splitlines()

    assert head.split()[0] == "level"
    assert [row[-1] for row in rows] == ["█", "█"]


def test_terminals_get_colours(shell):
    """Each level its own."""
    _, shown = shell.on_terminal("query", "level:error", "-n", "1")

    assert "\x1b[31mERROR\x1b[0m" in shown
    assert "1 are shown; --limit 0 shows all" in shown


def test_no_color_is_heeded(shell):
    """The variable, and the option before it."""
    plain = Shell(shell.database, NO_COLOR="1")

    assert "\x1b" not in plain.on_terminal("query", "-n", "2")[1]
    assert "\x1b[" in plain.on_terminal("query", "-n", "2", "--color", "always")[1]
    assert "\x1b[" in "".join(shell.lines("query", "-n", "2", "--color", "always"))


@pytest.mark.parametrize(
    "words",
    [
        ("query",),
        ("query", "--json"),
        ("query", "--fields", "source,message,metadata,tags,trace_id"),
        ("query", "| stats by (source, plain) count()"),
        ("search", "-C", "1", "m"),
        ("stats",),
        ("stats", "--group-by", "source"),
        ("stats", "--json"),
        ("export", "--format", "csv"),
        ("export",),
    ],
    ids=" ".join,
)
def test_entries_can_not_command_the_terminal(hostile, words):
    """Nothing of what they hold reaches it raw; on a terminal and in a pipe."""
    colour = () if words[0] == "export" else ("--color", "never")
    code, shown = hostile.on_terminal(*words, *colour)

    assert code == 0
    assert dangerous(shown) == set()
    if words != ("export", "--format", "csv"):
        assert dangerous("\n".join(hostile.lines(*words))) == set()


def test_commands_of_one_entry_are_harmless_too(hostile):
    """By id, around it, and its trace."""
    [log] = hostile.maps("query", "-n", "1")
    for words in (
        ("get", log["id"]),
        ("get", log["id"], "--json"),
        ("context", log["id"]),
        ("trace", "x"),
        ("trace", log["trace_id"].replace("\0", "")),
    ):
        assert dangerous("".join(hostile.lines(*words))) == set(), words


def test_json_keeps_what_it_escapes(hostile):
    """Decoded it is the same."""
    assert [log["message"] for log in hostile.maps("query", "-n", "1")] == [
        evil(3).message
    ]


def test_no_line_can_be_forged(hostile):
    """The further lines of a message are indented."""
    lines = hostile.lines("query", "-n", "2")

    assert [line.startswith("    ") for line in lines] == [False, True, True] * 2


def test_long_output_goes_to_the_pager(shell):
    """And what fits the screen does not."""
    paged = Shell(shell.database, PAGER="sed s/^/paged:/")

    _, long = paged.on_terminal("query", rows=10)
    _, short = paged.on_terminal("query", "-n", "5", rows=10)
    _, refused = paged.on_terminal("query", "--no-pager", rows=10)
    assert [line.startswith("paged:") for line in long.splitlines()] == [True] * 60
    assert "paged:" not in short + refused


def test_a_pager_may_be_left(shell):
    """That is no error."""
    paged = Shell(shell.database, PAGER="head -2")
    code, shown = paged.on_terminal("query", "--limit", "0", rows=10)

    assert (code, shown.count("request")) == (0, 2)


def test_a_pager_that_there_is_not_is_not_needed(shell):
    """The lines come anyway."""
    code, shown = Shell(shell.database, PAGER="no-such-pager").on_terminal(
        "query", "--limit", "0", rows=10
    )

    assert (code, shown.count("request")) == (0, 60)


def test_ctrl_c_is_no_traceback(tmp_path):
    """Exit code 130."""
    fill(tmp_path / "logs.db", [entry(1)])
    following = Following(Shell(tmp_path / "logs.db"), "tail")
    following.until_message("request 1")

    assert following.interrupt() == (130, "")


@pytest.mark.parametrize("command", ["query", "export"])
def test_a_command_loads_only_what_it_needs(shell, command):
    """No server's libraries; asking a gateway not even the engine's."""
    local = {"aiohttp", "asyncio", "zmq", "yaml"}
    remote = local | {"numpy", "sqlite3", "zstandard"}
    for options, heavy in (((), local), (("--url", "http://127.0.0.1:9"), remote)):
        program = (
            "import sys; from pipeline.cli import main;"
            f"main({[command, *options]});"
            f"print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=shell.environment,
            capture_output=True,
            check=True,
        )
        assert done.stderr.splitlines()[-1] == b"[]"


def test_a_query_explains_itself_on_standard_error(shell):
    """Behind the entries, in words or as it came; counts and tables too."""
    code, out, errors = shell.run("query", "request", "-n", "1", "--explain")
    _, count, why = shell.run("query", "--count", "duration_ms:>1e9", "--explain")
    _, table, as_json = shell.run(
        "query", "request | stats count()", "--explain", "--json"
    )

    assert (code, out.count("\n")) == (0, 1)
    assert 'some text has the word "request"' in errors
    assert "looked at" in errors
    assert (count, "near: " in why) == ("0\n", True)
    assert json.loads(as_json)["rows"]["matched"] == json.loads(table)["count()"]
