"""`pipeline send` as programs use it: lines in, a summary and an exit code out."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.entry import Entry, Level, parse_timestamp
from tests.running import RunningIngester

COMMAND = [sys.executable, "-m", "pipeline", "send"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningIngester]:
    """One ingester for the tests of this file."""
    ingester = RunningIngester(tmp_path_factory.mktemp("send"))
    ingester.start()
    yield ingester
    ingester.stop()


@pytest.fixture
def away(tmp_path: Path) -> Iterator[RunningIngester]:
    """An ingester that does not run yet."""
    ingester = RunningIngester(tmp_path)
    yield ingester
    ingester.stop()


def _send(
    ingester: RunningIngester, text: bytes, *options: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *options],
        input=text,
        capture_output=True,
        env=ingester.environment,
        timeout=60,
        check=False,
    )


def test_lines_come_out_as_they_went_in(running: RunningIngester) -> None:
    """Every character of every line is there, in order, with time and level."""
    lines = [
        "2026-11-21T09:08:07Z ERROR  déjà vu ",
        "",
        "\ttab and \x00 and \x1b[1mcolour\x1b[0m",
        "[Sat Nov 21 09:08:07 2026] [notice] ready",
        "the last has no end",
    ]
    done = _send(running, "\n".join(lines).encode(), "--source", "plain")

    assert done.returncode == 0
    entries = running.entries("plain")
    assert [entry.message for entry in entries] == lines
    stamp = parse_timestamp("2026-11-21T09:08:07Z", 0)
    assert (entries[0].timestamp, entries[0].level) == (stamp, Level.ERROR)


def test_unknown_levels_are_told(running: RunningIngester) -> None:
    """The lines are stored as INFO; the summary says how many."""
    done = _send(running, b'{"level": "chatty", "msg": "m"}\n', "--source", "unknown")

    assert b"1 entries, 0 rejected, 1 of an unknown level, " in done.stderr
    (entry,) = running.entries("unknown")
    assert (entry.level, entry.metadata) == (Level.INFO, {"level_text": "chatty"})


def test_the_summary(running: RunningIngester) -> None:
    """One line on stderr says what happened, unless nobody wants to know."""
    loud = _send(running, b"one\n\xff\n", "--source", "summary")
    quiet = _send(running, b"one\n", "--source", "summary", "--quiet")

    assert loud.stderr.startswith(
        b"pipeline send: 2 entries, 0 rejected, 1 not UTF-8, "
    )
    assert loud.stderr.count(b"\n") == 1
    assert (loud.stdout, quiet.stderr) == (b"", b"")


def test_options(running: RunningIngester) -> None:
    """Level and tags are those of lines that say nothing; the format can be told."""
    options = ("--level", "warning", "--tag", "x", "--tag", "y", "--format", "plain")
    _send(running, b'{"msg":"x"}\n', "--source", "options", *options)

    (entry,) = running.entries("options")
    assert entry._replace(timestamp=0) == Entry(
        0, "options", Level.WARN, '{"msg":"x"}', {}, ["x", "y"], None
    )


def test_lines_may_name_their_source(running: RunningIngester) -> None:
    """Without --source, structured lines do."""
    _send(running, b'{"source":"named","msg":"x"}\n')

    assert [entry.message for entry in running.entries("named")] == ["x"]


def test_early_times_are_stored_as_written(running: RunningIngester) -> None:
    """A clock at 1970 is not taken for another unit."""
    _send(running, b"1970-01-01T00:00:05Z x\n", "--source", "early")

    assert running.entries("early")[0].timestamp == 5_000_000_000


def test_tee(running: RunningIngester) -> None:
    """The lines also go to standard output, byte by byte."""
    text = b"one\r\ntwo\xff\nthree"
    done = _send(running, text, "--source", "tee", "--tee")

    assert done.stdout == text


def test_tee_without_a_reader(running: RunningIngester) -> None:
    """When the reader of the output goes away, the entries still arrive."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "--source", "deaf", "--tee"],
        input=b"one\ntwo\n",
        stdout=write,
        stderr=subprocess.PIPE,
        env=running.environment,
        check=False,
    )
    os.close(write)

    assert done.returncode == 0
    assert [entry.message for entry in running.entries("deaf")] == ["one", "two"]


def test_many_lines(running: RunningIngester) -> None:
    """More than memory holds at once: all are stored, none twice, in order."""
    lines = [f"line {number} {'x' * 500}" for number in range(40_000)]
    done = _send(running, "\n".join(lines).encode(), "--source", "many")

    assert done.returncode == 0
    assert [entry.message for entry in running.entries("many")] == lines


def test_a_missing_pipeline_is_an_error(away: RunningIngester) -> None:
    """The exit code and the summary say that nothing was acknowledged."""
    done = _send(away, b"one\ntwo\n", "--timeout", "0.2", "--quiet")

    assert done.returncode == 1
    assert b"2 NOT ACKNOWLEDGED (2 spooled for the next session)" in done.stderr


@contextmanager
def _started(
    ingester: RunningIngester, **settings: str
) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [*COMMAND, "--source", "slow"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ingester.environment | settings,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def _write(child: subprocess.Popen[bytes], text: bytes) -> None:
    assert child.stdin is not None
    child.stdin.write(text)
    child.stdin.flush()


def _fill(child: subprocess.Popen[bytes]) -> int:
    """Write lines for as long as the pipe is emptied; how many bytes that were."""
    assert child.stdin is not None
    descriptor = child.stdin.fileno()
    os.set_blocking(descriptor, False)
    written = 0
    while select.select([], [descriptor], [], 2.0)[1]:
        # what zstd can't make small, or the collector holds a gigabyte of it
        line = os.urandom(500).hex()[:999].encode() + b"\n"
        written += os.write(descriptor, line)
        assert written < 64 << 20
    os.set_blocking(descriptor, True)
    return written


def test_a_pipeline_that_comes_late(away: RunningIngester) -> None:
    """Until it is there the writer waits, with 16 MiB on the way; then all arrives."""
    with _started(away, PIPELINE_COLLECTOR__SPOOL="off") as child:
        written = _fill(child)
        away.start()
        child.communicate(timeout=60)

        assert child.returncode == 0
    assert sum(len(entry.message) for entry in away.entries()) == written * 999 // 1000


def test_ctrl_c_waits_for_the_writer(running: RunningIngester) -> None:
    """The program that writes gets it too, and its last lines still arrive."""
    with _started(running) as child:
        _write(child, b"first words\n")
        running.wait_for("first words")
        child.send_signal(signal.SIGINT)
        _write(child, b"last words")
        child.communicate(timeout=60)

        assert child.returncode == 0
    assert running.entries("slow")[-1].message == "last words"


def test_sigterm_ends_it(running: RunningIngester) -> None:
    """What was read is durable, though the writer goes on."""
    with _started(running) as child:
        _write(child, b"before\n")
        running.wait_for("before")
        child.send_signal(signal.SIGTERM)

        assert child.wait(60) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--level", "loud"], "no level"),
        (["--format", "xml"], "invalid choice"),
        (["--source", ""], "source"),
        (["--tag", "x" * 300], "tags.0"),
    ],
)
def test_wrong_options(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are refused before anything is read."""
    try:
        code = main(["send", *options])
    except SystemExit as end:
        code = int(end.code or 0)

    assert code in (1, 2)
    assert says in capsys.readouterr().err
