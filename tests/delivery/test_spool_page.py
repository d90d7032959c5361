"""SPOOL.md says what the code does: tables, numbers, and a segment to the byte."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from zlib import crc32

import pytest

import pipeline
from pipeline.delivery.spool import mark, records, spool
from tests.golden.samples import golden

TEXT = (Path(pipeline.__file__).parent / "delivery" / "SPOOL.md").read_text()
WORDS = " ".join(TEXT.split())

STRUCTS = {
    "head": records._HEAD,
    "record": records._RECORD,
    "batch": records._BATCH,
    "mark": mark._MARK,
}


@pytest.mark.parametrize("name", STRUCTS)
def test_offsets_and_sizes_are_those_of_the_struct(name: str) -> None:
    """Field by field."""
    codes = re.findall(r"\d*[a-zA-Z]", STRUCTS[name].format.removeprefix("<"))
    sizes = [struct.calcsize(f"<{code}") for code in codes]
    table = TEXT.split(f"<!-- struct: {name} -->\n")[1].split("\n\n")[0]

    found = [line.split("|")[1:3] for line in table.splitlines()[2:]]

    assert [int(size) for _, size in found] == sizes
    assert [int(at) for at, _ in found] == [sum(sizes[:n]) for n in range(len(sizes))]


@pytest.mark.parametrize(
    "words",
    [
        f"`{records.MAGIC.decode()}`: three letters and the version",
        f"The head stands there twice, {records.HEAD_BYTES} bytes in all",
        f"{records.ROW} ROW, {records.BATCH} BATCH",
        f"bytes of the body, at most {records.BODY_BYTES:,}",
        f"until it has {spool.SEGMENT_BYTES >> 20} MiB",
        f"since the last fsync: about {spool.SYNC_SECONDS:.0f} s",
    ],
)
def test_numbers_of_the_page_are_those_of_the_code(words: str) -> None:
    """Whoever changes one changes both."""
    assert words in WORDS
    assert spool.SEGMENTS_LEAST == 8  # "an eighth of the limit"


def test_the_example_is_a_segment() -> None:
    """The golden one, whose checksums are what the page says they are."""
    found = re.search(r"```segment\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    lines = [re.split(r" {3,}", line)[0] for line in found[1].splitlines()]
    data = bytes.fromhex("".join(lines))

    assert data == golden("spool")
    assert data[:36] == data[36:72]
    assert struct.unpack("<I", data[32:36])[0] == crc32(data[:32])
    (length,) = struct.unpack_from("<I", data, 72 + 5)
    body = data[72 + 21 : 72 + 21 + length]
    (check,) = struct.unpack_from("<I", data, 72 + 17)
    assert check == crc32(body, crc32(data[72 : 72 + 17], 72))


def test_the_mark_is_as_it_is_written() -> None:
    """A changed byte makes it none."""
    found = re.search(r"```mark\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    lines = [re.split(r" {3,}", line)[0] for line in found[1].splitlines()]
    data = bytes.fromhex("".join(lines))

    assert data == mark.pack_mark(mark.Mark(7, 2))
    assert mark.maybe_mark(data) == mark.Mark(7, 2)
    for at in range(len(data)):
        flipped = bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]])
        assert mark.maybe_mark(flipped) is None
    assert mark.maybe_mark(data[:-1]) is mark.maybe_mark(b"") is None
