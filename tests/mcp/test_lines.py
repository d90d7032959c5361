"""Standard input in lines, whatever pieces it comes in."""

from __future__ import annotations

import asyncio
import os

from hypothesis import given
from hypothesis import strategies as st

from pipeline.mcp.lines import LineSplitter, lines

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n"))


@given(st.lists(TEXT), st.integers(1, 9))
def test_lines_are_the_same_however_they_are_cut(sent, size):
    """Also within a character."""
    stream = "".join(f"{line}\n" for line in sent).encode()
    splitter = LineSplitter()

    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [line for piece in pieces for line in splitter.feed(piece)] == sent


def test_a_line_that_is_too_long_becomes_an_empty_one():
    """It takes no memory, and the lines around it are not harmed."""
    splitter = LineSplitter(longest=8)

    assert splitter.feed(b"one\n" + b"x" * 9) == ["one"]
    assert splitter.feed(b"x" * 9 + b"\nthree") == [""]
    assert splitter.feed(b"\n") == ["three"]


def test_bytes_that_are_no_text_end_no_line():
    """They are replaced, and the parser refuses the line."""
    assert LineSplitter().feed(b"\xff{}\n") == ["\ufffd{}"]


def test_the_lines_of_a_descriptor_end_with_it():
    """A last line without its end is none."""
    reader, writer = os.pipe()
    os.write(writer, b"one\ntwo\nthr")
    os.close(writer)

    async def read():
        return [line async for line in lines(reader)]

    assert asyncio.run(read()) == ["one", "two"]
    os.close(reader)
