"""A stream of bytes becomes entries, and nothing of it is lost."""

from __future__ import annotations

from datetime import UTC
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline import limits
from pipeline.collectors.lines import LINE_BYTES, Line, LineParser, LineSplitter
from pipeline.entry import Entry, Level, parse_timestamp

NOW = 1_795_341_600_000_000_000


def _split(*chunks: bytes) -> list[Line]:
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return lines + splitter.finish()


@given(st.binary(max_size=50), st.lists(st.integers(0, 50)))
def test_chunks_do_not_matter(stream: bytes, cuts: list[int]) -> None:
    """The lines are the same however the bytes arrive."""
    borders = [0, *sorted(cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(borders)]

    assert _split(*chunks) == _split(stream)


def test_line_ends() -> None:
    """LF and CR LF end a line, and so does the end of the stream; blank lines count."""
    lines = _split(b"a\r\n\nb\r\r\nc\rd\ne")

    assert [line.raw for line in lines] == [b"a", b"", b"b\r", b"c\rd", b"e"]


def test_an_endless_line_is_bounded() -> None:
    """Only the limit is held; what is gone is counted, and the next line is whole."""
    chunk = b"x" * (LINE_BYTES // 2 + 1)
    lines = _split(chunk, chunk, chunk, b"\nnext\n")

    assert [(len(line.raw), line.cut) for line in lines] == [
        (LINE_BYTES, len(chunk) * 3 - LINE_BYTES),
        (4, 0),
    ]


def _entry(parser: LineParser, raw: bytes, cut: int = 0) -> Entry:
    return parser.entry(Line(raw, cut), NOW)


def test_plain_text_is_kept_to_the_character() -> None:
    """Time and level are read from it; the message is the whole line."""
    line = "2026-11-21 09:08:07,123 - ERROR [x] - déjà vu \t\x00 "
    entry = _entry(LineParser("app", zone=UTC), line.encode())

    stamp = parse_timestamp("2026-11-21T09:08:07.123Z", 0)
    assert entry == Entry(stamp, "app", Level.ERROR, line, {}, [], None)


@given(st.text(st.characters(codec="utf-8")))
def test_any_plain_text_is_kept(line: str) -> None:
    """Whatever the line holds."""
    entry = _entry(LineParser("app", form="plain", zone=UTC), line.encode())

    assert entry.message == line


def test_bytes_that_are_no_text() -> None:
    """They are written as escapes and counted."""
    parser = LineParser("app")

    assert _entry(parser, b"a\xffb").message == "a\\xffb"
    assert parser.undecodable == 1


def test_a_long_message_is_cut_between_characters() -> None:
    """It keeps what the limit allows, and says how much is gone."""
    parser = LineParser("app")
    raw = b"x" + "é".encode() * (limits.MESSAGE_BYTES // 2)
    entry = _entry(parser, raw, cut=10)

    assert len(entry.message.encode()) == limits.MESSAGE_BYTES - 1
    assert entry.metadata == {"truncated_bytes": 12}
    assert parser.truncated == 1


def test_the_longest_message_is_whole() -> None:
    """A message at the limit is kept."""
    parser = LineParser("app")
    raw = b"x" * limits.MESSAGE_BYTES

    assert _entry(parser, raw).message == raw.decode()
    assert parser.truncated == 0


def test_what_lines_do_not_say() -> None:
    """Level and tags of the stream fill in; a line's own level wins, tags add up."""
    parser = LineParser("app", level=Level.DEBUG, tags=["x"])

    plain = _entry(parser, b"hello")
    json = _entry(parser, b'{"level":"error","msg":"no","tags":["y"]}')
    assert (plain.timestamp, plain.level, plain.tags) == (NOW, Level.DEBUG, ["x"])
    assert (json.level, json.tags) == (Level.ERROR, ["x", "y"])


def test_sources() -> None:
    """A stream without a source takes the line's own."""
    parser = LineParser()

    assert _entry(parser, b'{"msg":"x","source":"api"}').source == "api"
    assert _entry(parser, b"hello").source == "stdin"
