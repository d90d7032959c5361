"""FORMAT.md's tables, sections and checksums are the code's.

`python -m tests.store.test_format_page` writes the tables' SQL anew.
"""

import re
import struct
from pathlib import Path
from textwrap import dedent
from zlib import crc32

import numpy as np
import pytest

import pipeline
from pipeline.batch.read import read_integers
from pipeline.compression import decompress
from pipeline.limits import BATCH_ROWS, BLOCK_COLUMNS, DEAD_LETTER_BYTES
from pipeline.store.block import CELLS_MAX, MINUTE, Part, seal_block
from pipeline.store.columns import RESERVED
from pipeline.store.cuts import SEGMENT_BITS, SEGMENT_BYTES
from pipeline.store.schema import (
    COMPACTED,
    DELETED,
    FILTER_BITS,
    FORGOTTEN,
    LAST,
    LAST_COMPACTED,
    PAGE_BYTES,
    PURGED,
    REMOVED,
    REMOVED_COMPACTED,
    STEPS,
    VERSION,
)
from pipeline.store.writer import DEAD_LETTERS_MAX
from pipeline.wire.codec import batch_of
from tests.wire.messages import NOW, PRODUCER, entry

PAGE = Path(pipeline.__file__).parent / "store" / "FORMAT.md"
TEXT = PAGE.read_text()
SQL = re.compile(r"```sql\n.*?```", re.DOTALL)


def sql() -> str:
    """All tables, as the steps make them."""
    statements = [dedent(text).strip() + ";" for step in STEPS for text in step]
    return "```sql\n" + "\n".join(statements) + "\n```"


def test_the_tables_are_those_of_the_code() -> None:
    """Statement by statement."""
    found = SQL.search(TEXT)
    assert found is not None
    assert found[0] == sql()


def test_each_column_is_explained() -> None:
    """Of the tables that others may read."""
    texts = [text for step in STEPS for text in step]
    for table in ("blocks", "compacted", "producers"):
        statement = next(text for text in texts if f"TABLE {table} " in text)
        columns = re.findall(
            r"^ +(\w+) +(?:INTEGER|BLOB|TEXT)", statement, re.MULTILINE
        )
        columns += re.findall(rf"ALTER TABLE {table} ADD COLUMN (\w+)", sql())
        explained = TEXT.split(f"| column of `{table}` |")[1].split("\n\n")[0]
        words = {word for row in explained.splitlines() for word in row.split("|")[1:2]}
        named = {name.strip() for cell in words for name in cell.split(",")}
        assert set(columns) <= named


@pytest.mark.parametrize(
    "words",
    [
        f"The store's format, version {VERSION}",
        f"Pages have {PAGE_BYTES:,} bytes",
        f"| rows | 1 to {BATCH_ROWS:,} |",
        f"up to {BLOCK_COLUMNS:,} columns",
        f"Above {CELLS_MAX:,} cells",
        f"nanoseconds / {MINUTE:,}",
        f"the newest {DEAD_LETTERS_MAX:,}",
        f"the first {DEAD_LETTER_BYTES:,}",
        f"above 2^40 = {COMPACTED:,}",
        f"x 2^{SEGMENT_BITS} + place",
        f"x 2^{FILTER_BITS} + number",
        f"segments of {SEGMENT_BYTES:,} bytes",
        f"columns, up to {BLOCK_COLUMNS + RESERVED:,}",
    ],
)
def test_numbers_of_the_page_are_those_of_the_code(words: str) -> None:
    """Whoever changes one changes both."""
    assert words in TEXT


def sections(column: bytes, count: int) -> tuple[int, list[bytes]]:
    """A header's column of so many sections, read as the page says."""
    codec, size = struct.unpack_from("<BI", column)
    body = column[5:] if codec == 0 else decompress(column[5:], size)
    assert len(body) == size
    n, *sizes = struct.unpack_from(f"<{1 + count}I", body)
    at, found = 4 * (1 + count), []
    for length in sizes:
        found.append(body[at : at + length])
        at += length
    assert at == size
    return n, found


def test_a_block_can_be_read_by_the_page() -> None:
    """Counts, runs and both checksums, without the code that reads them."""
    batch = batch_of([entry(), entry(source="a\nb\\", level=17)]).batch
    assert batch is not None
    sealed = seal_block([Part(batch, PRODUCER, 7, None)])

    cells, (minutes, sources, levels, numbers, names) = sections(sealed.counts, 5)
    assert cells == 2
    assert read_integers(minutes, 2).tolist() == [NOW // MINUTE] * 2
    assert read_integers(sources, 2).tolist() == [0, 1]
    assert read_integers(levels, 2).tolist() == [9, 17]
    assert read_integers(numbers, 2).tolist() == [1, 1]
    assert names == b"web\na\\nb\\\\"

    runs, (producers, firsts, rows, ids) = sections(sealed.runs, 4)
    columns = [read_integers(data, runs) for data in (producers, firsts, rows)]
    assert (np.concatenate(columns).tolist(), ids) == ([0, 7, 2], PRODUCER)

    head = struct.pack("<IqqI", 2, NOW, NOW, crc32(sealed.data))
    assert len(head) == 24
    assert crc32(head + sealed.counts + sealed.runs) == sealed.header_crc


def test_every_key_of_meta_is_explained() -> None:
    """They are all that tells what is not there any more."""
    keys = {LAST, LAST_COMPACTED, REMOVED, REMOVED_COMPACTED, PURGED, FORGOTTEN}

    explained = TEXT.split("| key of `meta` |")[1].split("\n\n")[0]

    for key in {*keys, DELETED.strip(), "salvaged"}:
        assert f"\n| {key}" in explained


if __name__ == "__main__":
    PAGE.write_text(SQL.sub(lambda _: sql(), TEXT))
