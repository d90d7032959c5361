"""`pipeline tail`: what was there, then all that is new, whatever becomes of it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time

import pytest

from pipeline import Collector
from pipeline.cli.following import Event, Mark, events
from tests.cli.shell import DANGEROUS, Following, Shell, entry, evil, fill, only
from tests.running import RunningIngester


@pytest.fixture
def follow():
    """Start commands that are ended with the test."""
    started = []

    def start(shell, *words):
        started.append(Following(shell, *words))
        return started[-1]

    yield start
    for following in started:
        following.kill()


@pytest.fixture
def shell(tmp_path):
    """Over ten entries."""
    fill(tmp_path / "logs.db", [entry(number) for number in range(10)])
    return Shell(tmp_path / "logs.db")


def add(shell, *entries):
    """One commit more."""
    fill(shell.database, list(entries), first=entries[0].timestamp // 10**9)


def numbers(lines):
    """Of the entries that these lines show."""
    return [int(line.split("request ")[1].split()[0]) for line in lines]


def test_the_last_ones_come_first_then_the_new(shell, follow):
    """Oldest first, each once."""
    tail = follow(shell, "tail", "-n", "3")
    tail.until(lambda lines: len(lines) == 3)
    for number in (10, 11):
        add(shell, entry(number))
        tail.until_message(f"request {number}")

    assert numbers(tail.lines) == [7, 8, 9, 10, 11]


def test_only_what_matches_is_shown(shell, follow):
    """The filter language, the options, and the fields as JSON."""
    words = ("tail", "request", "--min-level", "error", "--json", "--fields", "message")
    tail = follow(shell, *words)
    tail.until(lambda lines: len(lines) == 2)
    add(shell, entry(10), entry(12), entry(11))
    tail.until_message("request 11")

    shown = [json.loads(line) for line in tail.lines]
    assert [log["message"].split()[1] for log in shown] == ["4", "5", "10", "11"][
        :0
    ] or ([log["message"].split()[1] for log in shown] == ["4", "5", "10", "11"])
    assert {name for log in shown for name in log} == {"message"}


def test_a_wrong_filter_ends_it(shell):
    """At once, with the caret."""
    code, _, errors = shell.run("tail", "level:loud")

    assert code == 2
    assert "^" in errors


def test_it_survives_what_happens_to_the_store(tmp_path, follow):
    """It comes later, the ingester restarts, a salvaged copy takes the place."""
    ingester = RunningIngester(tmp_path)
    shell = Shell(ingester.database)
    tail = follow(shell, "tail", "--json")

    def log(text):
        publish = ingester.publish
        collector = Collector(ingester.ingest, "t", acknowledge_endpoint=publish)
        collector.log("INFO", text)
        assert collector.close(20)
        ingester.wait_for(text)
        tail.until_message(text)

    try:
        ingester.start()
        log("first")
        ingester.stop()
        ingester.start()
        log("after a restart")
        ingester.stop()
        copy = tmp_path / "copy.db"
        shutil.copy(ingester.database, copy)
        os.replace(copy, ingester.database)
        ingester.start()
        log("after a salvage")
    finally:
        ingester.stop()

    shown = [json.loads(line)["message"] for line in tail.lines]
    assert shown == ["first", "after a restart", "after a salvage"]
    assert tail.interrupt() == (130, "")


def test_another_database_is_shown_from_its_beginning(shell, follow):
    """It counts anew; standard error says so."""
    tail = follow(shell, "tail", "-n", "1", "--json")
    tail.until_message("request 9")
    for path in shell.database.parent.glob("logs.db*"):
        path.unlink()
    add(shell, entry(30))
    end = time.monotonic() + 20
    while not select.select([tail.child.stderr], [], [], 0.3)[0]:
        assert time.monotonic() < end
        add(shell, entry(31))

    tail.until_message("request 31")
    assert "request 30" in tail.lines[1]
    assert "another one" in tail.interrupt()[1]


def test_entries_can_not_command_the_terminal(shell, follow):
    """Neither the last ones nor the new."""
    add(shell, evil(20))
    tail = follow(shell, "tail", "-n", "1")
    tail.until(lambda lines: len(lines) == 3)
    add(shell, evil(21))
    tail.until(lambda lines: len(lines) == 6)

    assert DANGEROUS & set("".join(tail.lines)) == set()


def test_it_ends_when_nobody_reads(shell, follow):
    """Also while nothing new comes."""
    tail = follow(shell, "tail")
    tail.until(lambda lines: len(lines) == 10)
    tail.child.stdout.close()

    code = tail.child.wait(20)
    assert (code, tail.child.stderr.read()) == (-signal.SIGPIPE, b"")


def test_the_mark_follows_commits():
    """It goes on, waits where a salvage lost commits, and begins anew elsewhere."""
    mark = Mark()
    assert [mark.moved(number) for number in (5, 7, 6, 6, 8)] == [False] * 5
    assert mark.after == 8

    assert [mark.moved(number) for number in (1, 2)] == [False, True]
    assert mark.after == 0


def test_events_are_read_as_servers_send_them():
    """Comments are nothing, an id alone moves on."""
    lines = [
        *(b"retry: 2000\n", b"id: 4\n", b"\n"),
        *(b": nothing\n", b"\n"),
        *(b'data: {"a":1}\n', b"\n"),
        *(b"id: 5\r\n", b"event: missed\r\n", b'data: {"missed":3}\r\n', b"\r\n"),
        b"data: cut",
    ]

    assert list(events(lines)) == [
        Event("message", b"", 4),
        Event("message", b'{"a":1}', None),
        Event("missed", b'{"missed":3}', 5),
    ]


@pytest.mark.requires_tool("lnav")
def test_lnav_reads_what_it_writes(tmp_path):
    """With the format that the command prints: time, level, source, text, trace."""
    folder = tmp_path / "formats" / "pipeline"
    folder.mkdir(parents=True)
    fill(tmp_path / "logs.db", [entry(7, message="one\ntwo"), entry(8)])
    shell = Shell(tmp_path / "logs.db")
    (folder / "format.json").write_text(shell.here("tail", "--lnav-format")[1])
    logs = shell.here("query", "--order", "asc", "--json")[1]
    question = (
        "SELECT log_time, log_level, log_body, source, trace_id, metadata"
        " FROM recursive_pipeline"
    )
    done = subprocess.run(
        ["lnav", "-I", tmp_path, "-n", "-c", f";{question}", "-c", ":write-json-to -"],
        input=logs,
        env={**os.environ, "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(done.stdout)

    assert [only(row, "log_time", "log_level", "log_body") for row in found] == [
        {
            "log_time": "2026-11-18 11:06:47.000",
            "log_level": "debug",
            "log_body": "one\ntwo",
        },
        {
            "log_time": "2026-11-18 11:06:48.000",
            "log_level": "info",
            "log_body": "request 8 took 1 ms",
        },
    ]
    assert [row["source"] for row in found] == ["web", "데이터베이스"]
    assert {row["trace_id"] for row in found} == {"trace-1"}
    assert found[0]["metadata"] == {"path": "/p/3", "duration_ms": 3.5}
