"""What no honest sender makes: it is refused, or costs no more than its size."""

import sys
import threading
import uuid

import msgpack
import numpy as np
import pytest

from pipeline.batch.check import check
from pipeline.batch.decode import parse
from pipeline.batch.encode import Encoded, assemble, encode_rows
from pipeline.batch.layout import DICT_HEAD, Kind
from pipeline.batch.pack import pack
from pipeline.batch.seal import seal
from pipeline.entry import Entry
from pipeline.errors import FrameError
from pipeline.limits import BLOCK_BYTES, BLOCK_COLUMNS

ENTRY = Entry(1, "web", 9, "m", None, None, None)


def packed(*values: bytes) -> bytes:
    """PACKED data of values that are msgpack already."""
    return bytes([1, *map(len, values)]) + b"".join(values)


def payload_with(*columns: Encoded) -> bytes:
    """A payload of one entry with more columns than its sender should give it."""
    plain = parse(encode_rows([ENTRY]))
    required = [
        Encoded(name, column.kind, column.count, bytes(column.data))
        for name, column in plain.columns.items()
    ]
    return assemble([*required, *columns], 1)


def shape(positions: bytes, kind: Kind = Kind.PACKED) -> Encoded:
    """The column that says which optional columns the entry has."""
    data = DICT_HEAD.pack(kind, 1, 1) + b"\0" + packed(positions)
    return Encoded("shape", Kind.SHAPE, 1, data)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ([shape(b"\5\0\0")], "list of u16"),
        ([shape(b"\5\0", Kind.TEXT)], "lengths add up"),
        ([shape(b"\5\0")], "columns must ascend and exist"),
        ([shape(b"\4\0")], "shape: 0 values; the shapes have 1"),
        ([shape(b"")] * 2, "two columns have one name"),
        ([Encoded("colour", Kind.BOOL, 1, b"\1")], "unknown column"),
        ([Encoded("metadata.x", Kind.U8, 1, b"\1")], "can't be of kind U8"),
        ([Encoded("metadata.x", Kind.BOOL, 1, b"\1")], "need the column `shape`"),
    ],
)
def test_a_payload_that_contradicts_itself_is_refused(
    columns: list[Encoded], problem: str
) -> None:
    """Each with what is wrong, and never by an error of Python's."""
    with pytest.raises(FrameError, match=problem):
        check(parse(payload_with(*columns)))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"\xc1", "msgpack"),
        (b"\x92\x01", "msgpack"),
        (b"\x01\x01", "msgpack"),
        (b"\xa2\xff\xfe", "msgpack"),
        (b"\x81\x90\x01", "map key"),
        (b"\x81\x01\x01", "map key"),
        (b"\x81\xc4\x01x\x01", "map's key must be text"),
        (b"\x91" * 40 + b"\xc0", "nested deeper"),
        (b"\x91" * 240 + b"\xc0", "nested deeper"),
        (b"\xd6\xff\0\0\0\1", "extension types"),
        (b"\xc7\x01\x05x", "extension types"),
    ],
)
def test_msgpack_that_can_not_be_stored_is_refused(value: bytes, problem: str) -> None:
    """Bad bytes, keys that JSON has not, depth, dates and extensions."""
    column = Encoded("metadata.x", Kind.PACKED, 1, packed(value))

    with pytest.raises(FrameError, match=problem):
        check(parse(payload_with(shape(b"\5\0"), column)))


def test_a_common_text_beside_other_texts_is_not_written_out() -> None:
    """1,000 rows of one long text stay one text, whatever they are joined with."""
    long = "x" * 100_000
    same = [ENTRY._replace(metadata={"sql": long})] * 1000
    other = [ENTRY._replace(metadata={"sql": "select 1"})]
    batches = [parse(encode_rows(rows)) for rows in (same, other, same)]

    block = parse(seal(batches, 1), BLOCK_COLUMNS)

    check(block)
    assert block.size < 200_000
    values = [entry.metadata["sql"] for entry in block.entries(np.arange(2001))]  # type: ignore[index]
    assert values == [long] * 1000 + ["select 1"] + [long] * 1000


def test_packed_values_keep_their_bytes_beside_other_kinds() -> None:
    """A column of mixed kinds is joined without making objects of what is packed."""
    rows = [{"x": [1, None]}, {"x": 7}, {"x": True}, {"x": "text"}, {"x": 2.5}]
    batches = [parse(encode_rows([ENTRY._replace(metadata=row)])) for row in rows]

    block = parse(seal(batches, 1), BLOCK_COLUMNS, BLOCK_BYTES)

    check(block)
    column = block.column("metadata.x")
    assert column is not None
    assert column.kind is Kind.PACKED
    assert [row["x"] for row in rows] == column.values()


def test_threads_do_not_share_a_packers_buffer() -> None:
    """`str` of a UUID is Python code, so another thread may go on in the middle."""
    wrong: list[bytes] = []

    def pack_many() -> None:
        for _ in range(1000):
            value = uuid.uuid4()
            found = pack([1, value])
            if found != msgpack.packb([1, str(value)]):
                wrong.append(found)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=pack_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)

    assert wrong == []
