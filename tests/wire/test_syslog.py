"""Lines of syslog as entries: the RFCs' examples, rsyslog's templates, and noise."""

from __future__ import annotations

from datetime import timedelta, timezone

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.entry import Entry, Level, format_timestamp, parse_timestamp
from pipeline.errors import FrameError
from pipeline.ingester.batcher import Policy
from pipeline.ingester.intake import Intake
from pipeline.limits import MESSAGE_BYTES
from pipeline.wire.codec import decode_plain
from pipeline.wire.syslog import is_syslog, parse_syslog
from tests.wire.test_fuzz import ANY, read

NOW = parse_timestamp("2026-11-22T10:00:00Z", 0)
EAST = timezone(timedelta(hours=2))


def parse(line: str, source: str | None = None) -> Entry:
    """An entry of a line that came at NOW, where clocks are two hours ahead of UTC."""
    return parse_syslog(line.encode(), NOW, source, EAST)


def time_of(line: str) -> str:
    """Its time, without the end that all have."""
    return format_timestamp(parse(line).timestamp).rstrip("0Z").rstrip(".")


def test_all_parts_of_rfc_5424_are_kept() -> None:
    """The RFC's own example 3, with an escape of each kind and a name that repeats."""
    found = parse(
        "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 42 ID47 "
        r'[exampleSDID@32473 iut="3" source="\"A\\pp\]" iut="4" raw="\n]"][empty@1]'
        " \ufeffAn application event"
    )

    assert found == (
        parse_timestamp("2003-10-11T22:14:15.003Z", 0),
        "evntslog",
        Level.INFO,
        "An application event",
        {
            "facility": "local4",
            "severity": "notice",
            "hostname": "mymachine.example.com",
            "procid": "42",
            "msgid": "ID47",
            "structured_data": {
                "exampleSDID@32473": {
                    "iut": ["3", "4"],
                    "source": '"A\\pp]',
                    "raw": "\\n]",
                },
                "empty@1": {},
            },
        },
        [],
        None,
    )


@pytest.mark.parametrize(
    ("severity", "level"),
    list(enumerate(["FATAL"] * 3 + ["ERROR", "WARN", "INFO", "INFO", "DEBUG"])),
)
def test_pri_is_level_and_facility(severity: int, level: str) -> None:
    """Each severity, under the last facility."""
    found = parse(f"<{23 * 8 + severity}>m")

    assert found.level == Level[level]
    assert found.metadata is not None
    assert found.metadata["facility"] == "local7"


@pytest.mark.parametrize(
    ("line", "source", "message", "metadata"),
    [
        ("<34>Oct 11 22:14:15 host su: 'su' failed", "su", "'su' failed", "host"),
        ("<34>Oct  1 22:14:15 host cron[42]:  two", "cron", " two", "host 42"),
        (
            "<34>Oct 11 22:14:15 app[42]: from syslog(3)",
            "app",
            "from syslog(3)",
            "- 42",
        ),
        ("<34>2026-11-22T10:00:00+00:00 host a/b[1] m", "a/b", "m", "host 1"),
        (f"<34>Oct 11 22:14:15 h {'p' * 28}[123 cut", "p" * 28, "cut", "h 123"),
        (
            "<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!",
            "10.0.0.99",
            "Use the BFG!",
            "*",
        ),
        ("<13>app: no time", "app", "no time", "-"),
        ("<13>http://a b: c", "syslog", "http://a b: c", "-"),
        ("<13>Feb 31 17:32:18 what", "syslog", "Feb 31 17:32:18 what", "-"),
        ("<13>1 item is left", "syslog", "1 item is left", "-"),
        ("<13>several\nlines\r\n", "syslog", "several\nlines", "-"),
        ("<13>", "syslog", "", "-"),
        ("<13>1 - - - - - -", "syslog", "", "-"),
        ("<13>1 - h - - - -  two spaces", "h", "two spaces", "h"),
        ("<13>1 - - ünï-app - - - m", "ünï-app", "m", "-"),
    ],
)
def test_what_a_line_has_is_found(
    line: str, source: str, message: str, metadata: str
) -> None:
    """And what it hasn't is left out; * is a host that is also the source."""
    found = parse(line)

    host, *process = metadata.replace("*", source).split()
    expected = {} if host == "-" else {"hostname": host}
    expected |= {"procid": process[0]} if process else {}
    assert (found.source, found.message) == (source, message)
    assert found.metadata is not None
    extra = {key: found.metadata[key] for key in found.metadata.keys() - _PRIORITY}
    assert extra == expected


_PRIORITY = {"facility", "severity"}


@pytest.mark.parametrize(
    ("line", "time"),
    [
        (
            "<13>1 2026-11-22T11:30:00.123456+01:30 - - - - -",
            "2026-11-22T10:00:00.123456",
        ),
        ("<13>1 2026-11-22T09:00:00-01:00 - - - - -", "2026-11-22T10:00:00"),
        ("<13>1 - - - - - -", "2026-11-22T10:00:00"),
        ("<13>Nov 22 11:00:00 h a: m", "2026-11-22T09:00:00"),
        ("<13>Nov 22 11:00:00.25 h a: m", "2026-11-22T09:00:00.25"),
        ("<13>Nov 22 2020 11:00:00: m", "2020-11-22T09:00:00"),
        ("<13>Nov 23 11:00:00 h a: a clock ahead", "2026-11-23T09:00:00"),
        ("<13>Nov 24 11:00:00 h a: last year", "2025-11-24T09:00:00"),
        ("<13>Feb 29 11:00:00 h a: leap year", "2024-02-29T09:00:00"),
        ("<13>2026-11-22T11:00:00.5 h a: m", "2026-11-22T09:00:00.5"),
        ("<13>no time", "2026-11-22T10:00:00"),
    ],
)
def test_times_are_read(line: str, time: str) -> None:
    """With fractions and offsets; without a year, a zone, or at all."""
    assert time_of(line) == time


def test_a_line_that_names_no_program_has_the_topics_name() -> None:
    """Its own comes first, as with any plain message."""
    assert parse("<13>Nov 22 10:00:00 host no tag", "topic").source == "topic"
    assert parse("<13>app: m", "topic").source == "app"


def test_bytes_that_are_no_text_are_marked_and_counted() -> None:
    """Nothing of the line is lost for them."""
    found = parse_syslog(b"<13>app: \xff\xc3\xb6\xe9", NOW)

    assert found.message == r"\xffö\xe9"
    assert found.metadata is not None
    assert found.metadata["undecoded_bytes"] == 2


def test_a_message_beyond_the_limit_is_cut() -> None:
    """And says by how much."""
    found = parse("<13>" + "x" * (MESSAGE_BYTES + 7))

    assert len(found.message) == MESSAGE_BYTES
    assert found.metadata is not None
    assert found.metadata["truncated_bytes"] == 7


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ("<192>m", "PRI 192; must be 0 to 191"),
        ("<13>1 2026-11-22 h a - - - m", "timestamp: got '2026-11-22 h a"),
        ("<13>1 2026-13-22T10:00:00Z h a - - - m", "is no date"),
        ("<13>1 9999-11-22T10:00:00Z h a - - - m", "timestamp: outside what 64 bits"),
        ("<13>1 - h", "app-name: got ''; expected as RFC 5424 has it, or -"),
        ("<13>1 - h a p id m", "structured data: got 'm'; expected [id ...] or -"),
        (
            "<13>1 - h a p id [x y=1] m",
            "structured data: got ' y=1] m'; expected name=",
        ),
        ("<13>1 - h a p id [x]m", "structured data: 'm' behind it"),
        (f"<13>1 - h a p id [{'x' * 300}] m", "structured data: got"),
        (f'<13>1 - h a p id [x a="{"y" * 300_000}"] m', "within 262,144 characters"),
        (f"<13>1 - h a p id {'[x]' * 90_000} m", "within 262,144 characters"),
        (f'<13>1 - h a p id [x a="{"ö" * 200_000}"] m', "at most 262,144 bytes"),
        ("<13>1 - h a p id [x][", "structured data: got '['; expected [id ...] or -"),
    ],
)
def test_what_is_malformed_is_a_dead_letter_that_says_why(
    line: str, detail: str
) -> None:
    """With the line itself."""
    intake = Intake(b"b" * 16, [], Policy())

    intake.receive([line.encode()], NOW)

    (letter,) = intake.cut(NOW).letters
    assert letter.reason == "bad_syslog"
    assert detail in letter.detail
    assert letter.body == line.encode()[:4096]


@pytest.mark.parametrize("frame", [b"<>m", b"<1234>m", b"<1", b"<x>", b" <13>m", b""])
def test_other_frames_are_no_syslog(frame: bytes) -> None:
    """They are judged as before."""
    assert not is_syslog(frame)
    with pytest.raises(FrameError, match=r"bad_msgpack|not_an_entry"):
        decode_plain(frame, NOW)


def test_a_topic_may_stand_before_a_line() -> None:
    """As omczmq can send one."""
    intake = Intake(b"b" * 16, [], Policy())

    intake.receive([b"web", b"<13>Nov 22 10:00:00 host no tag"], NOW)
    intake.receive([memoryview(b"web"), memoryview(b"<13>app: m")], NOW)

    assert read(intake) == ["no tag", "m"]


@given(ANY | st.integers(0, 127))
def test_no_msgpack_is_taken_for_syslog(value: object) -> None:
    """60, which is `<`, is a number by itself."""
    assert not is_syslog(msgpack.packb(value))


_PIECES = st.sampled_from(
    [*'1-[]":\\ = ', "host", "app[1]:", "Nov 22 10:00:00", "1 - h a p i ", '[x y="']
)


@given(st.lists(_PIECES | st.text(max_size=4)).map("".join), st.integers(0, 999))
@example("2026-11-22T10:00:00+99:99 h a: m", 13)
def test_a_message_is_never_lost(rest: str, priority: int) -> None:
    """An entry whose message ends the line, or a dead letter."""
    line = f"<{priority}>{rest}".encode(errors="surrogatepass")
    intake = Intake(b"b" * 16, [], Policy())

    intake.receive([line], NOW)

    cut = intake.cut(NOW)
    assert len(cut.blocks) + len(cut.letters) == 1
    if cut.letters:
        assert cut.letters[0].body == line
    else:
        text = line.rstrip(b"\r\n\0").decode(errors="backslashreplace")
        (part,) = cut.blocks[0]
        (found,) = part.batch.entries([0])
        assert text.endswith(found.message)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_entry_or_a_dead_letter(noise: bytes) -> None:
    """Whatever follows PRI."""
    for start in (b"<13>", b"<13>1 - ", b"<13>1 - h a - - ", b"<13>Nov 22 10:00:00 "):
        intake = Intake(b"b" * 16, [], Policy())
        intake.receive([start + noise], NOW)

        cut = intake.cut(NOW)

        assert len(cut.blocks) + len(cut.letters) == 1
        assert {letter.reason for letter in cut.letters} <= {"bad_syslog"}
