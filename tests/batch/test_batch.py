"""Rows become columns and come back as they were, in every kind and through a seal."""

import math
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batch import encode, pack, values
from pipeline.batch.check import check
from pipeline.batch.decode import Batch, parse
from pipeline.batch.encode import encode_rows
from pipeline.batch.layout import Kind
from pipeline.batch.seal import seal
from pipeline.entry import Entry
from pipeline.errors import FrameError
from pipeline.limits import BATCH_COLUMNS, BLOCK_COLUMNS, METADATA_BYTES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.sampled_from([0.1, -0.0, 12.5, 1e300])
    | TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=5,
)
ENTRY = st.builds(
    Entry,
    st.integers(-(2**63), 2**63 - 1),
    TEXT.filter(bool),
    st.integers(1, 24),
    TEXT,
    st.dictionaries(st.sampled_from(string.ascii_letters) | TEXT, VALUE, max_size=5),
    st.lists(TEXT, max_size=3),
    st.none() | TEXT.filter(bool) | st.just("0af7651916cd43dd8448eb211c80319c"),
)


def same(left: object, right: object) -> bool:
    """Equal in type and value, with NaN equal to itself and -0.0 not to 0.0."""
    if isinstance(left, float) and isinstance(right, float):
        signs = math.copysign(1, left) == math.copysign(1, right)
        return (left == right and signs) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            same(left[key], right[key]) for key in left
        )
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def everything(batch: Batch) -> list[Entry]:
    """All entries of a batch."""
    return batch.entries(np.arange(batch.rows))


@settings(max_examples=120, deadline=None)
@given(st.lists(ENTRY, min_size=1, max_size=30))
def test_any_valid_entry_comes_back_from_the_wire_unchanged(rows: list[Entry]) -> None:
    """encode, parse and check give back what went in."""
    batch = parse(encode_rows(rows))

    check(batch)

    assert same(rows, everything(batch))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(ENTRY, min_size=1, max_size=10), min_size=1, max_size=6))
def test_batches_sealed_into_a_block_keep_rows_and_order(
    parts: list[list[Entry]],
) -> None:
    """A block holds the rows of all its batches, one after another."""
    batches = [parse(encode_rows(rows)) for rows in parts]

    block = parse(seal(batches, 1), BLOCK_COLUMNS)

    check(block)
    assert same([row for rows in parts for row in rows], everything(block))


@settings(max_examples=120, deadline=None)
@given(st.lists(ENTRY, min_size=1, max_size=4), st.data())
def test_a_damaged_payload_is_refused_or_readable(
    rows: list[Entry], data: st.DataObject
) -> None:
    """Whatever check lets through can be read to the end."""
    payload = bytearray(encode_rows(rows))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(payload) - 1))
        payload[place] = data.draw(st.integers(0, 255))
    try:
        batch = parse(bytes(payload))
        check(batch)
    except FrameError:
        return

    assert len(everything(batch)) == batch.rows


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    """Random bytes are a FrameError and nothing else."""
    with pytest.raises(FrameError):
        check(parse(noise))


def one(**metadata: object) -> Entry:
    """An entry with this metadata."""
    return Entry(1, "a", 9, "m", metadata, [], None)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 3], Kind.INT64),
        ([1.5, 2.0, 3.25], Kind.FLOAT64),
        ([True, False, True], Kind.BOOL),
        (["a", "b", "c"], Kind.TEXT),
        (["a", "a", "a"], Kind.DICT),
        ([1, 2.0, "c"], Kind.PACKED),
        ([1, True, 1], Kind.PACKED),
        ([2**63, 1, 1], Kind.PACKED),
        ([None, None, None], Kind.PACKED),
    ],
)
def test_a_columns_kind_follows_from_its_values(
    values: list[object], kind: Kind
) -> None:
    """Each type has its kind; a mixture or a value beyond int64 is PACKED."""
    column = parse(encode_rows([one(x=value) for value in values])).column("metadata.x")

    assert column is not None
    assert kind == column.kind
    assert same(values, column.values())


def test_keys_beyond_the_limit_share_one_column() -> None:
    """More keys than columns: the rarest are kept in one map a row."""
    rows = [one(common=1, **{f"k{place}": place}) for place in range(300)]

    batch = parse(encode_rows(rows))

    check(batch)
    assert len([name for name in batch.names() if "metadata." in name]) == BATCH_COLUMNS
    assert same(rows, everything(batch))


def test_numbers_without_text_keys_and_odd_objects_become_text() -> None:
    """What msgpack has no form for is kept as its text."""
    rows = [Entry(1, "a", 9, "m", {1: {2**70}, "x": 2**70}, [], None)]

    (entry,) = everything(parse(encode_rows(rows)))

    assert entry.metadata == {"1": str({2**70}), "x": str(2**70)}


def nested(depth: int) -> object:
    """A list in a list in a list."""
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


BEYOND = [
    one()._replace(source="s" * 257),
    one()._replace(message="m" * (1 << 20) + "m"),
    one(x="v" * (METADATA_BYTES + 1)),
    one()._replace(tags=["t"] * 65),
    one()._replace(tags=["t" * 257]),
    one()._replace(trace_id="t" * 257),
    one(x=nested(33)),
]


@pytest.mark.parametrize("row", BEYOND, ids=range(len(BEYOND)))
def test_the_encoder_refuses_what_the_other_side_would(row: Entry) -> None:
    """A sender learns of a limit before its batch is on the way."""
    with pytest.raises(ValueError, match=r"exceed|more than|nested"):
        encode_rows([row])


@pytest.fixture
def lawless(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that knows no limits, as a sender of another make may be."""
    for name in ("MESSAGE_BYTES", "SOURCE_BYTES"):
        monkeypatch.setattr(encode, name, 1 << 30)
    for name in ("TAG_BYTES", "TRACE_ID_BYTES", "METADATA_BYTES", "TAGS_MAX"):
        monkeypatch.setattr(values, name, 1 << 30)
    monkeypatch.setattr(pack, "NESTING", 1 << 30)
    monkeypatch.setattr(values.encode_text, "__defaults__", (1 << 30,))


@pytest.mark.usefixtures("lawless")
@pytest.mark.parametrize("row", BEYOND, ids=range(len(BEYOND)))
def test_a_value_beyond_its_limit_is_refused(row: Entry) -> None:
    """Every limit of limits.py is checked on what came in, whoever encoded it."""
    payload = encode_rows([row])

    with pytest.raises(FrameError, match="bad_batch"):
        check(parse(payload))


@pytest.mark.parametrize(
    "row",
    [one()._replace(level=25), one()._replace(source="")],
    ids=["level", "source"],
)
def test_a_level_or_source_that_is_none_is_refused(row: Entry) -> None:
    """Levels are 1 to 24, and an entry has a source."""
    with pytest.raises(FrameError, match="bad_batch"):
        check(parse(encode_rows([row])))


def test_a_text_without_its_newline_is_refused() -> None:
    """A search over the whole column would find words across two values."""
    payload = encode_rows([one()._replace(message="abc")])

    with pytest.raises(FrameError, match="no newline"):
        check(parse(payload.replace(b"abc\n", b"abcd")))


def test_a_lone_surrogate_is_the_callers_to_mend() -> None:
    """The encoder says so instead of changing text."""
    with pytest.raises(UnicodeEncodeError):
        encode_rows([one()._replace(message="\ud800")])
