"""FORMAT.md says what the code does: tables, numbers, and an example to the byte.

`python -m tests.wire.test_format_page` writes the table of limits anew.
"""

from __future__ import annotations

import ast
import re
import struct
from enum import IntEnum, IntFlag
from itertools import pairwise
from pathlib import Path

import msgpack
import numpy as np
import pytest

import pipeline
from pipeline import limits
from pipeline.batch import layout
from pipeline.batch.decode import COLUMNS_MAX
from pipeline.ingester import intake, publisher
from pipeline.level import Level
from pipeline.store.writer import DEAD_LETTERS_MAX
from pipeline.wire import codec, frame
from pipeline.wire.codec import decode_batch, decode_plain

PACKAGE = Path(pipeline.__file__).parent
PAGE = PACKAGE / "wire" / "FORMAT.md"
TEXT = PAGE.read_text()
FROM, TO = "<!-- limits -->\n", "<!-- end of limits -->"

STRUCTS = {
    "header": frame._HEADER,
    "acknowledgement": frame._ACKNOWLEDGEMENT,
    "head": layout.HEAD,
    "column": layout.COLUMN,
    "dict": layout.DICT_HEAD,
    "narrow": layout.NARROW_HEAD,
}


def limits_table() -> str:
    """Each limit with its value and the reason that stands below it."""
    body = ast.parse((PACKAGE / "limits.py").read_text()).body
    lines = ["| limit | value | reason |", "|---|---|---|"]
    for found, reason in pairwise(body):
        if isinstance(found, ast.AnnAssign) and isinstance(reason, ast.Expr):
            name = ast.unparse(found.target)
            text = " ".join(ast.literal_eval(reason.value).split())
            lines.append(f"| {name} | {getattr(limits, name):,} | {text} |")
    return "\n".join(lines) + "\n"


def rows_after(mark: str) -> list[list[str]]:
    """Cells of the table behind a comment."""
    table = TEXT.split(f"<!-- {mark} -->\n", 1)[1].split("\n\n", 1)[0]
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def example(name: str) -> bytes:
    """Bytes of a block of the page; what stands after three spaces explains."""
    found = re.search(rf"```{name}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    lines = [re.split(r" {3,}", line)[0] for line in found[1].splitlines()]
    return bytes.fromhex("".join(lines))


def test_the_limits_are_those_of_the_code() -> None:
    """All of them, with their reasons."""
    assert TEXT.split(FROM)[1].split(TO)[0] == limits_table()


@pytest.mark.parametrize("name", STRUCTS)
def test_offsets_and_sizes_are_those_of_the_struct(name: str) -> None:
    """Field by field; padding is a field of the page."""
    codes = re.findall(r"\d*[a-zA-Z]", STRUCTS[name].format.removeprefix("<"))
    expected, offset = [], 0
    for code in codes:
        expected.append((offset, struct.calcsize(f"<{code}")))
        offset += expected[-1][1]

    found = [(int(row[0]), int(row[1])) for row in rows_after(f"struct: {name}")]

    assert found == expected
    assert offset == STRUCTS[name].size


def test_kinds_have_their_ids() -> None:
    """All of them, and no other."""
    found = {row[0]: int(row[1]) for row in rows_after("kinds")}

    assert found == {kind.name: kind.value for kind in layout.Kind}


@pytest.mark.parametrize("numbers", [frame.Reply, frame.Status, Level])
def test_numbers_have_their_names(numbers: type[IntEnum]) -> None:
    """As `number NAME` or, for levels, `NAME number`."""
    for each in numbers:
        text = f"{each.value} {each.name}"
        assert text in TEXT or f"{each.name} {each.value}" in TEXT


@pytest.mark.parametrize("bits", [frame.Flag, frame.Codec])
def test_bits_have_their_names(bits: type[IntFlag]) -> None:
    """As `bit n NAME`."""
    for each in bits:
        assert f"bit {each.value.bit_length() - 1} {each.name}" in TEXT


@pytest.mark.parametrize(
    "words",
    [
        f"`{frame.MAGIC.decode()}`",
        f"a header of {frame.HEADER_BYTES} bytes",
        f"the topic `{frame.ACKNOWLEDGE_TOPIC.decode()}` followed by the 16 bytes",
        f"| `{frame.SUMMARY_TOPIC.decode()}` |",
        f"| `{frame.BATCH_TOPIC.decode()}` | each block up to 1 MiB |",
        f"| `{frame.STATUS_TOPIC.decode()}` |",
        f"A payload has at most {COLUMNS_MAX} columns",
        f"{codec._ITEMS_MAX:,} elements",
        f"sequence + span - 1 < 2^{limits.NUMBER_MAX.bit_length() - 1}",
        f"At most {limits.PLAIN_BYTES >> 20} MiB before compression",
        f"{intake._NAME_BYTES} bytes",
        f"the first {limits.DEAD_LETTER_BYTES:,} bytes",
        f"{intake.LETTERS_MAX:,}\na commit and {DEAD_LETTERS_MAX:,} in all",
        f"| version | {layout.VERSION} |",
    ],
)
def test_numbers_and_names_of_the_text_are_those_of_the_code(words: str) -> None:
    """Whoever changes one changes both."""
    assert words in TEXT
    assert publisher.PUBLISHED_BYTES == 1 << 20


def test_every_column_that_is_known_is_named() -> None:
    """With its kind."""
    names = [*layout.REQUIRED, layout.NUMBER, layout.SHAPE, layout.TAGS]
    names += [layout.TRACE_ID, layout.METADATA, layout.METADATA_PREFIX + "<key>"]
    for name in names:
        assert f"\n| `{name}` | " in TEXT


def test_the_example_is_a_batch() -> None:
    """To the byte: what the page explains is what is decoded."""
    head, payload = example("header"), example("payload")

    header = frame.parse_header(head)

    assert frame.crc_matches(head, payload)
    batch = decode_batch(header, payload, 0).batch
    assert batch is not None
    first, second = batch.entries(np.arange(2))
    assert first == (1763800000000000000, "web", 9, "hi", {"n": 7}, [], None)
    assert second == (1763800000000000001, "web", 17, "no", {}, [], None)


def test_the_plain_example_is_an_entry() -> None:
    """The map of the three lines."""
    found = re.search(r"packb\((.*)\)\)", TEXT)
    assert found is not None

    rows = decode_plain(msgpack.packb(ast.literal_eval(found[1])), 7)

    assert rows.entries == [(7, "web", 9, "hi", {}, [], None)]


if __name__ == "__main__":
    before, rest = TEXT.split(FROM)
    PAGE.write_text(before + FROM + limits_table() + TO + rest.split(TO)[1])
