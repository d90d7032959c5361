"""Times and levels of plain text, in the formats that programs write."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.civil import LOCAL
from pipeline.collectors.lines import LineParser
from pipeline.collectors.stamps import FORMATS, HEAD, read_stamp
from pipeline.entry import LEVEL_NAMES, format_timestamp, parse_timestamp

NOW = parse_timestamp("2026-11-22T10:00:00Z", 0)


def _read(line: str, zone: tzinfo = UTC, now: int = NOW) -> tuple[str, str]:
    timestamp, level = LineParser("app", zone=zone).stamp(line, now)
    return (
        "-" if timestamp is None else format_timestamp(timestamp)[:-1].rstrip("0"),
        "-" if level is None else LEVEL_NAMES[level],
    )


LINES = [
    # ISO 8601 and what loggers make of it
    ("2026-11-21T09:08:07.5Z WARN disk", "2026-11-21T09:08:07.5", "WARN"),
    ("2026-11-21T09:08:07+02:00 disk", "2026-11-21T07:08:07.", "-"),
    (
        "2026-11-21 09:08:07,123 - INFO  [Q:1] - x",
        "2026-11-21T09:08:07.123",
        "INFO",
    ),
    (
        "2026-11-21 09:08:07,123 [main] ERROR a.B - x",
        "2026-11-21T09:08:07.123",
        "ERROR",
    ),
    (
        "2026-11-21 09:08:07,123 - app.db - WARNING - x",
        "2026-11-21T09:08:07.123",
        "WARN",
    ),
    ("2026-11-21 09:08:07,123 app CRITICAL x", "2026-11-21T09:08:07.123", "FATAL"),
    (
        "2026-11-21 09:08:07.123  INFO 17 --- [main] a.B : x",
        "2026-11-21T09:08:07.123",
        "INFO",
    ),
    (
        "2026-11-21 09:08:07.123 | DEBUG    | a:b:12 - x",
        "2026-11-21T09:08:07.123",
        "DEBUG",
    ),
    (
        "2026-11-21 09:08:07.123 UTC [12] LOG:  ready",
        "2026-11-21T09:08:07.123",
        "INFO",
    ),
    (
        "2026-11-21 09:08:07.123 UTC [12] ERROR:  no",
        "2026-11-21T09:08:07.123",
        "ERROR",
    ),
    (
        "2026-11-21T09:08:07.123456Z 0 [Warning] [MY-1] x",
        "2026-11-21T09:08:07.123456",
        "WARN",
    ),
    (
        "2026-11-21T09:08:07.123Z\tdebug\tmain.go:1\tx",
        "2026-11-21T09:08:07.123",
        "DEBUG",
    ),
    ("2026-11-21 09:08:07.1+02 [info] <0.1.0> x", "2026-11-21T07:08:07.1", "INFO"),
    (
        "2026-11-21 09:08:07, Error                 CBS x",
        "2026-11-21T09:08:07.",
        "ERROR",
    ),
    ("[2026-11-21T09:08:07Z INFO  app] x", "2026-11-21T09:08:07.", "INFO"),
    (
        "[2026-11-21T09:08:07,123][WARN ][o.e.n] [n] x",
        "2026-11-21T09:08:07.123",
        "WARN",
    ),
    (
        "[2026-11-21 09:08:07 +0000] [12] [INFO] Booting",
        "2026-11-21T09:08:07.",
        "INFO",
    ),
    (
        "[2026-11-21 09:08:07,123: ERROR/MainProcess] x",
        "2026-11-21T09:08:07.123",
        "ERROR",
    ),
    (
        "[2026-11-21 09:08:07,123] {a.py:12} INFO - x",
        "2026-11-21T09:08:07.123",
        "INFO",
    ),
    ("INFO 2026-11-21 09:08:07,123 views 12 x", "2026-11-21T09:08:07.123", "INFO"),
    ("ERROR [2026-11-21 09:08:07,123] a.B: x", "2026-11-21T09:08:07.123", "ERROR"),
    (
        "W, [2026-11-21T09:08:07.123456 #12]  WARN -- : x",
        "2026-11-21T09:08:07.123456",
        "WARN",
    ),
    # Go, nginx
    ("2026/11/21 09:08:07 listening", "2026-11-21T09:08:07.", "-"),
    ("2026/11/21 09:08:07.123456 listening", "2026-11-21T09:08:07.123456", "-"),
    ("2026/11/21 09:08:07 [crit] 12#0: *1 x", "2026-11-21T09:08:07.", "FATAL"),
    # syslog, with and without its priority
    ("Nov 21 09:08:07 host sshd[12]: Failed", "2026-11-21T09:08:07.", "-"),
    ("Nov  1 09:08:07 host kernel: ERROR x", "2026-11-01T09:08:07.", "-"),
    ("<34>Nov 21 09:08:07 host su: x", "2026-11-21T09:08:07.", "FATAL"),
    (
        "<165>1 2026-11-21T09:08:07.003Z host app - ID47 - x",
        "2026-11-21T09:08:07.003",
        "INFO",
    ),
    ("Nov 21 2025 09:08:07 switch: x", "2025-11-21T09:08:07.", "-"),
    # Apache and access logs
    ("[Sat Nov 21 09:08:07 2026] [notice] x", "2026-11-21T09:08:07.", "INFO"),
    (
        "[Sat Nov 21 09:08:07.123456 2026] [core:error] [pid 1] x",
        "2026-11-21T09:08:07.123456",
        "ERROR",
    ),
    ('::1 - bob [21/Nov/2026:09:08:07 -0700] "GET /"', "2026-11-21T16:08:07.", "-"),
    # the Hadoop family
    ("261121 090807 148 WARN dfs.X: x", "2026-11-21T09:08:07.", "WARN"),
    ("26/11/21 09:08:07 INFO a.B: x", "2026-11-21T09:08:07.", "INFO"),
    # klog, glog
    (
        "E1121 09:08:07.123456    1 a.go:12] x",
        "2026-11-21T09:08:07.123456",
        "ERROR",
    ),
    (
        "I20261121 09:08:07.123456 1 a.cc:12] x",
        "2026-11-21T09:08:07.123456",
        "INFO",
    ),
    # day first
    (
        "21-Nov-2026 09:08:07.123 SEVERE [main] a.B x",
        "2026-11-21T09:08:07.123",
        "ERROR",
    ),
    ("[21-Nov-2026 09:08:07 UTC] PHP Warning:  x", "2026-11-21T09:08:07.", "WARN"),
    ("1:M 21 Nov 2026 09:08:07.123 * Ready", "2026-11-21T09:08:07.123", "-"),
    # numbers
    ("1764000000 INFO x", "2025-11-24T16:00:00.", "INFO"),
    ("1764000000.25 x", "2025-11-24T16:00:00.25", "-"),
    ("[1764000000123] x", "2025-11-24T16:00:00.123", "-"),
    # no time
    ("WARNING:root:x", "-", "WARN"),
    ("[ERROR] x", "-", "ERROR"),
    ("INFO:     Started", "-", "INFO"),
    ("error: no such file", "-", "ERROR"),
    ("<3>x", "-", "ERROR"),
    ("\x1b[32mINFO\x1b[0m: x", "-", "INFO"),
    (
        "\x1b[2m2026-11-21T09:08:07Z\x1b[0m \x1b[33m WARN\x1b[0m x",
        "2026-11-21T09:08:07.",
        "WARN",
    ),
]


@pytest.mark.parametrize(("line", "timestamp", "level"), LINES)
def test_formats(line: str, timestamp: str, level: str) -> None:
    """Each of these programs' lines gives its time and its level."""
    assert _read(line) == (timestamp, level)


@pytest.mark.parametrize(
    "line",
    [
        *("", "hello", "an ERROR happened", "Errors: 5", "INFORMATION_SCHEMA is read"),
        *("2026 was good", "20261121", "12345678901 bytes", "1764000000"),
        *("2026-13-01 10:00:00 x", "2026-02-30 10:00:00 x", "Foo 12 10:00:00 x"),
        *("0001-01-01 00:00:00 x", "2026-11-21 25:00:00 x", "2026-11-21 10:00:99 x"),
        *("  at a.B (c.java:1)", "<999> x", "next run 2026-11-21 10:00:00"),
    ],
)
def test_text_without_a_stamp(line: str) -> None:
    """Words and numbers that only resemble one are left alone."""
    assert _read(line) == ("-", "-")


def test_the_message_does_not_decide_the_level() -> None:
    """A level's name further back is part of what the program says."""
    line = "2026-11-21 09:08:07 the disk reports ERROR 5"

    assert _read(line)[1] == "-"


@pytest.mark.parametrize(
    ("line", "now", "year"),
    [
        ("Nov 22 10:00:00 h x", "2026-11-22T10:00:00Z", "2026"),
        ("Nov 22 10:00:01 h x", "2026-11-22T10:00:00Z", "2025"),
        ("Dec 31 23:59:59 h x", "2027-01-01T00:00:05Z", "2026"),
        ("Jan  1 00:00:01 h x", "2027-01-01T00:00:05Z", "2027"),
        ("Feb 29 00:00:01 h x", "2026-11-22T10:00:00Z", "2024"),
        ("Feb 29 00:00:01 h x", "2103-11-22T10:00:00Z", "2096"),
    ],
)
def test_a_date_without_a_year(line: str, now: str, year: str) -> None:
    """It is the latest such date that is not in the future."""
    assert _read(line, now=parse_timestamp(now, 0))[0][:4] == year


def test_a_year_that_began_east_of_utc() -> None:
    """The future is judged in the zone of the line, not by UTC's calendar."""
    now = parse_timestamp("2026-12-31T20:00:00Z", 0)
    line = "Jan  1 04:30:00 h x"

    assert _read(line, ZoneInfo("Asia/Tokyo"), now)[0] == "2026-12-31T19:30:00."
    assert _read(line, UTC, now)[0] == "2026-01-01T04:30:00."


def test_a_time_without_a_zone_is_of_the_zone_given() -> None:
    """Summer time counts; a zone that is written wins."""
    zone = ZoneInfo("Europe/Berlin")

    assert _read("2026-07-01 12:00:00 x", zone)[0] == "2026-07-01T10:00:00."
    assert _read("2026-01-01 12:00:00 x", zone)[0] == "2026-01-01T11:00:00."
    assert _read("2026-01-01 12:00:00Z x", zone)[0] == "2026-01-01T12:00:00."


@pytest.fixture
def _new_york() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("_new_york")
def test_the_zone_of_the_process() -> None:
    """The default zone is the one that the C library has, summer time included."""
    assert _read("2025-07-01 12:00:00 x", LOCAL)[0] == "2025-07-01T16:00:00."
    assert _read("2025-12-01 12:00:00 x", LOCAL)[0] == "2025-12-01T17:00:00."


@given(st.text(max_size=80))
def test_any_text_is_read(line: str) -> None:
    """No line is an error."""
    LineParser("app", zone=UTC).stamp(line, NOW)


def test_formats_exclude_each_other() -> None:
    """No line has two readings, so the order of the formats means nothing."""
    for line, _, _ in LINES:
        readings = [read_stamp(line, NOW, UTC, form) for form in FORMATS]
        assert len([reading for reading in readings if reading is not None]) <= 1


PIECES = ("[", "- ", "1 ", "1-", "a ", "(a) ", "<x>", "-:|, ", "a.b - ", "info ", " ")


@pytest.mark.parametrize("head", ["", "2026-11-21 10:00:00 ", "1764000000 "])
@pytest.mark.parametrize("piece", PIECES)
def test_no_line_takes_long(head: str, piece: str) -> None:
    """Pieces that could be read in many ways are read in one."""
    line = head + piece * (HEAD // len(piece))
    before = time.process_time()
    LineParser("app", zone=UTC).stamp(line, NOW)

    assert time.process_time() - before < 0.1
