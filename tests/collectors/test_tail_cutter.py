"""Bytes of a file become entries, whatever the pieces in which they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collectors.lines import LINE_BYTES
from pipeline.collectors.multiline import BYTES_MAX, LINES_MAX
from pipeline.collectors.tail import cutter
from pipeline.collectors.tail.cutter import Cutter, Piece
from pipeline.collectors.tail.followed import CHUNK_BYTES, QUIET_SECONDS
from pipeline.collectors.tail.identity import FINGERPRINT_BYTES
from pipeline.collectors.tail.scan import FILES_MAX, OLDER_MAX
from pipeline.collectors.tail.tailer import MEMORY_BYTES, OPEN_MAX
from pipeline.collectors.tail.walk import NAMES_MAX

PYTHON = b"""\
2026-11-22 10:00:00 ERROR request failed
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    f()
ValueError: no

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "b.py", line 2, in <module>
    g()
KeyError: 'x'
"""
JAVA = b"""\
2026-11-22 10:00:00 ERROR [main] c.F - failed
java.lang.IllegalStateException: no
\tat c.F.g(F.java:1)
\tat c.F.main(F.java:2)
\t... 3 more
Caused by: java.io.IOException: disk
\tat c.F.h(F.java:9)
\t... 2 more
"""
NODE = b"""\
/app/index.js:3
  throw new TypeError("no");
  ^

TypeError: no
    at Object.<anonymous> (/app/index.js:3:7)
    at node:internal/main:23:47 {
  code: 'E_NO'
}
"""
GO = b"""\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.f(0x5)
\t/app/main.go:9 +0x1d
main.main()
\t/app/main.go:5 +0x20

goroutine 6 [select]:
net/http.(*Server).Serve(0xc0000, {0x1, 0x2})
\t/usr/lib/go/server.go:3 +0x1
created by main.main in goroutine 1
\t/app/main.go:4 +0x9
exit status 2
"""
DOTNET = b"""\
Unhandled exception. System.InvalidOperationException: no
 ---> System.IO.IOException: disk
   at P.F() in /app/P.cs:line 3
   --- End of inner exception stack trace ---
   at P.Main() in /app/P.cs:line 9
"""
TRACES = [PYTHON, JAVA, NODE, GO, DOTNET]


def cut(data: bytes, sizes: list[int] | None = None, **options: bool) -> list[Piece]:
    """All entries, fed in pieces of these sizes, and then the rest."""
    cutter = Cutter(0, **options)
    pieces: list[Piece] = []
    for size in sizes or []:
        pieces += cutter.feed(data[:size])
        data = data[size:]
    pieces += cutter.feed(data)
    return pieces + cutter.finish()


def texts(data: bytes, **options: bool) -> list[bytes]:
    """The entries' texts."""
    return [piece.line.raw for piece in cut(data, **options)]


def test_each_line_is_an_entry_with_its_place():
    """Places are offsets of the first byte."""
    pieces = cut(b"one\ntwo\r\n\nthree\n")

    assert [(piece.start, piece.line.raw) for piece in pieces] == [
        (0, b"one"),
        (4, b"two"),
        (10, b"three"),
    ]


def test_a_place_is_one_of_the_file():
    """However far into it the reading began."""
    cutter = Cutter(1000)

    assert [p.start for p in cutter.feed(b"a\nb\n") + cutter.close()] == [1000, 1002]


def test_a_line_without_an_end_waits():
    """Its first half is nothing that can be sent."""
    cutter = Cutter(0)

    assert cutter.feed(b"one\nt") == []
    assert cutter.close() == [Piece(0, cut(b"one")[0].line)]
    assert (cutter.settled, cutter.position, cutter.is_within_line) == (4, 5, True)
    assert cutter.finish()[0].line.raw == b"t"


@pytest.mark.parametrize("trace", TRACES, ids=["py", "java", "node", "go", "net"])
def test_a_stack_trace_is_one_entry(trace):
    """With what stands before and behind it apart."""
    found = texts(b"before\n" + trace + b"10:00:01 after\n")

    assert found == [b"before", trace.rstrip(b"\n"), b"10:00:01 after"]


@pytest.mark.parametrize("trace", TRACES, ids=["py", "java", "node", "go", "net"])
def test_a_stack_trace_is_known_as_one(trace):
    """What has no level of its own then is an error."""
    assert [piece.line.is_trace for piece in cut(trace)] == [True]


def test_a_bare_traceback_leaves_the_line_before_alone():
    """What a program writes to stderr has nothing to do with it."""
    found = texts(b"INFO listening\n" + PYTHON.split(b"\n", 1)[1])

    assert found[0] == b"INFO listening"
    assert len(found) == 2


def test_text_that_is_indented_goes_on():
    """With the blank lines in it, but not those behind it."""
    found = texts(b"usage:\n\n  a\n\tb\n\n\nnext\n")

    assert found == [b"usage:\n\n  a\n\tb", b"next"]


def test_json_on_many_lines_is_one_entry():
    """As it is printed for people."""
    assert len(texts(b'{\n  "a": 1\n}\n{\n  "a": 2\n}\n')) == 2


def test_a_line_of_json_waits_for_nothing():
    """It is whole."""
    assert len(Cutter(0).feed(b'{"a": 1}\n')) == 1


def test_lines_can_be_left_as_they_are():
    """multiline: none."""
    assert len(texts(PYTHON, joins=False)) == 10


def test_an_entry_has_at_most_so_many_lines():
    """The rest is the next one."""
    pieces = cut(b"head\n" + b"\tat f\n" * 2 * LINES_MAX)

    counts = [piece.line.raw.count(b"\n") + 1 for piece in pieces]
    assert counts == [LINES_MAX, LINES_MAX, 1]


def test_an_entry_has_at_most_so_many_bytes():
    """Whatever is joined, it fits a message."""
    pieces = cut(b"head\n" + (b" " + b"x" * 99_999 + b"\n") * 5)

    assert [len(piece.line.raw) <= BYTES_MAX for piece in pieces] == [True] * 3


def test_a_line_is_held_up_to_the_limit():
    """Its place and the next one's are right all the same."""
    cutter = Cutter(0)
    for _ in range(5):
        cutter.feed(b"x" * (1 << 20))
    assert cutter.held == LINE_BYTES
    first, second = cutter.feed(b"\nnext\n") + cutter.close()

    assert (len(first.line.raw), first.line.cut) == (LINE_BYTES, 1 << 20)
    assert (second.start, second.line.raw) == (5 * (1 << 20) + 1, b"next")


def test_a_byte_order_mark_is_no_text():
    """At the beginning of a file; anywhere else it stays."""
    mark = b"\xef\xbb\xbf"

    assert texts(mark + b"a\n" + mark + b"b\n") == [b"a", mark + b"b"]


def test_no_byte_is_changed():
    """NUL, bytes that are no UTF-8, and a CR within a line."""
    assert texts(b"a\x00b\n\xff\xfe\nc\rd\n") == [b"a\x00b", b"\xff\xfe", b"c\rd"]


LINES = st.sampled_from(
    [
        *(line for trace in TRACES for line in trace.split(b"\n")),
        *(b"plain", b"ERROR failed", b"  indented", b"", b" ", b"\r", b'{"a": 1}'),
        *(b"FooError", b"FooError  ", b"x" * 300, b"\xef\xbb\xbf", b"}", b"WARN x\r"),
    ]
)


@given(
    st.lists(LINES, max_size=30),
    st.lists(st.integers(0, 80), max_size=40),
    st.booleans(),
    st.booleans(),
)
def test_the_pieces_that_are_read_make_no_difference(lines, sizes, joins, ended):
    """The entries are the same as when all is read at once."""
    data = b"\n".join(lines) + (b"\n" if ended else b"")

    assert cut(data, sizes, joins=joins) == cut(data, joins=joins)


def test_a_trace_goes_on_behind_a_blank_line_that_was_read_before_it():
    """The piece that ends with the blank line does not end the entry."""
    head = b"2026-11-22 10:00:00 ERROR request failed\n"
    data = head + head + b"\n" + b"Traceback (most recent call last):\n"

    assert cut(data, [3, 80]) == cut(data)


@given(st.lists(LINES, max_size=30), st.lists(st.integers(1, 80), max_size=40))
def test_reading_may_begin_anew_where_it_is_settled(lines, sizes):
    """What was given out until then and what comes from there on is everything."""
    data = b"\n".join(lines) + b"\n"
    cutter = Cutter(0)
    given_out = []
    for size in sizes:
        given_out += cutter.feed(data[cutter.position : cutter.position + size])
    again = Cutter(cutter.settled)
    rest = again.feed(data[cutter.settled :]) + again.finish()

    assert [p.line.raw for p in given_out + rest] == texts(data)


def test_the_page_states_the_bounds():
    """TAIL.md has the numbers of the code."""
    page = Path(cutter.__file__).with_name("TAIL.md").read_text()
    bounds = [
        f"at most {LINES_MAX:,} lines and {BYTES_MAX >> 10} KiB",
        f"at most {FINGERPRINT_BYTES} bytes",
        f"{OPEN_MAX} files open, {FILES_MAX:,} followed",
        f"{OLDER_MAX} older selves",
        f"{NAMES_MAX:,} names",
        f"{MEMORY_BYTES >> 20} MiB of batches",
        f"{CHUNK_BYTES >> 10} KiB of a file",
        f"{QUIET_SECONDS:g} s without a change",
    ]

    assert [bound for bound in bounds if bound not in page] == []
