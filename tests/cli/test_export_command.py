"""`pipeline export`: files that are complete or not there, and streams."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from io import StringIO

import pytest

from tests.cli.shell import Shell, entry, evil, fill
from tests.query.stores import Asker


@pytest.fixture
def shell(tmp_path):
    """Over 40 entries, in pages of 10."""
    fill(tmp_path / "logs.db", [*map(entry, range(39)), evil(39)])
    return Shell(tmp_path / "logs.db", PIPELINE_QUERY__MAX_ROWS="10")


def test_all_entries_are_lines(shell):
    """Oldest first, beyond what one reply may have; the same as `query` has."""
    logs = Asker(shell.database).ask("query", order="asc", limit=100)["logs"]

    assert [json.loads(line) for line in shell.lines("export")] == logs
    assert len(logs) == 40


def test_a_file_s_name_says_the_format(shell, tmp_path):
    """CSV with a header line, readable by any program."""
    path = tmp_path / "out.csv"
    fields = "message,source,metadata.path"
    assert shell.lines("export", "-o", str(path), "--fields", fields) == []

    rows = list(csv.reader(StringIO(path.read_bytes().decode(), newline="")))
    assert rows[0] == fields.split(",")
    assert rows[1] == ["request 0 took 0 ms", "api", "/p/0"]
    assert rows[40][0] == evil(39).message
    assert [each.name for each in tmp_path.glob("out*")] == ["out.csv"]


def test_limit_and_filter_hold_across_pages(shell):
    """The first that match."""
    lines = shell.lines("export", "request", "--limit", "15", "--order", "desc")

    shown = [json.loads(line)["message"].split()[1] for line in lines]
    assert shown == [str(number) for number in range(38, 23, -1)]


def test_a_refused_export_leaves_the_old_file(shell, tmp_path):
    """And nothing beside it."""
    path = tmp_path / "out.ndjson"
    path.write_text("old")
    code, _, errors = shell.here("export", "level:loud", "-o", str(path))

    assert (code, path.read_text()) == (2, "old")
    assert "^" in errors
    assert [each.name for each in tmp_path.glob("out*")] == ["out.ndjson"]


def test_a_folder_that_there_is_not_is_told(shell, tmp_path):
    """One line, exit code 1."""
    code, _, errors = shell.here("export", "-o", str(tmp_path / "no" / "out.csv"))

    assert (code, errors.count("\n")) == (1, 1)
    assert "out.csv.part can't be written" in errors


def test_a_full_disk_is_told(shell):
    """Nothing is left that looks complete."""
    code, _, errors = shell.run("export", "-o", "/dev/full")

    assert code == 1
    assert (
        errors
        == "pipeline export: /dev/full can't be written: No space left on device\n"
    )


def test_an_interrupted_export_leaves_no_file(shell, tmp_path):
    """Ctrl-C, while it writes into something that takes nothing."""
    fill(shell.database, [entry(n, message="x" * 9_000) for n in range(99)], first=99)
    reader, writer = os.pipe()
    child = shell.start("export", "-o", str(tmp_path / "out.ndjson"), stdout=writer)
    os.close(writer)
    os.close(reader)
    with child:
        end = time.monotonic() + 20
        while not list(tmp_path.glob("out*")) and time.monotonic() < end:
            time.sleep(0.005)
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)

    names = {each.name for each in tmp_path.glob("out*")}
    assert (child.returncode, names) in ((130, set()), (0, {"out.ndjson"}))


def test_memory_stays_the_same(tmp_path):
    """Three times the entries, which are more than it takes, take no more of it."""
    peaks = []
    for times in (4, 12):
        path = tmp_path / f"{times}.db"
        text = "".join(chr(97 + n * n % 23) for n in range(2_000))
        for part in range(times):
            first = part * 4_000
            numbers = range(first, first + 4_000)
            fill(path, [entry(n, message=f"{n} {text}") for n in numbers], first + 1)
        peaks.append(_peak(Shell(path)))

    assert peaks[1] < peaks[0] * 1.3


def _peak(shell):
    """The most memory that an export took, in KiB."""
    with shell.start("export", "-o", "/dev/null") as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
    return usage.ru_maxrss
