"""The column `variables`: how the values of a slot are written, and read again."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import FrameError
from pipeline.store.digits import Words, parse_numbers, write_numbers
from pipeline.store.forms import DECIMAL, HEX, MARKED, TEXT, Variables, shapes_of
from pipeline.store.slot_packing import pack_slots
from pipeline.store.slots import Slots
from tests.wire.test_fuzz import changed

VALUE = st.one_of(
    st.integers(0, 10**20).map(str),
    st.integers(0, 999).map("{:03d}".format),
    st.integers(0, 10**9).map("ord_{}".format),
    st.integers(0, 10**6).map("{}ms".format),
    st.integers(0, 1 << 64).map("pay_{:016x}".format),
    st.integers(0, 1 << 30).map("{:x}7".format),
    st.from_regex(r"\A[A-Za-z_é]{0,9}[0-9][A-Za-z_é0-9]{0,9}\Z"),
)
SLOT = st.one_of(
    st.lists(VALUE, min_size=1, max_size=6),
    VALUE.map(lambda value: [value] * 3),
    st.lists(st.integers(0, 10**9).map("u_{}B".format), min_size=1, max_size=6),
    st.lists(st.binary(min_size=5, max_size=5).map(bytes.hex), min_size=1, max_size=6),
)


def variables(slots: list[list[str]]) -> tuple[bytes, Variables]:
    """Values of slots as they stand in messages, one after another."""
    values = [value.encode() for slot in slots for value in slot]
    sizes = np.array(list(map(len, values)), np.int64)
    digits = [sum(48 <= byte <= 57 for byte in value) for value in values]
    counts = np.array(list(map(len, slots)), np.int64)
    starts = np.cumsum(sizes + 1) - sizes - 1
    return b" ".join(values) + b"\n", Variables(
        starts, sizes, np.array(digits, np.int64), counts
    )


def pack(slots: list[list[str]]) -> bytes:
    """The column of these values."""
    data, found = variables(slots)
    return pack_slots(data, Words(data), [found])


def read(data: bytes, slots: list[list[str]], order: list[int]) -> list[bytes]:
    """The values of the slots in this order."""
    opened = Slots(data, np.array(list(map(len, slots)), np.int64))
    owners = np.repeat(np.arange(len(slots)), list(map(len, slots)))[order]
    ranks = np.concatenate([np.arange(len(slot)) for slot in slots])[order]
    values = opened.values(owners, ranks)
    source = opened.text.tobytes() + values.digits.tobytes()
    places = zip(values.starts.tolist(), values.sizes.tolist(), strict=True)
    ends = np.cumsum(opened.prefixes + opened.suffixes)
    affixes = opened.affixes.tobytes()
    found = []
    for slot, (start, size) in zip(owners.tolist(), places, strict=True):
        suffix = int(opened.suffixes[slot])
        middle = int(ends[slot]) - suffix
        prefix = affixes[middle - int(opened.prefixes[slot]) : middle]
        found.append(
            prefix + source[start : start + size] + affixes[middle : middle + suffix]
        )
    return found


@settings(max_examples=400, deadline=None)
@given(st.lists(SLOT, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_values_come_back_in_any_order(slots: list[list[str]], random) -> None:  # type: ignore[no-untyped-def]
    """Whatever form they have."""
    values = [value.encode() for slot in slots for value in slot]
    order = [random.randrange(len(values)) for _ in range(len(values) + 3)]

    assert read(pack(slots), slots, order) == [values[place] for place in order]


@settings(max_examples=200, deadline=None)
@given(st.lists(SLOT, min_size=2, max_size=8), st.data())
def test_slots_are_the_same_in_parts(slots: list[list[str]], drawn: Any) -> None:
    """However many are packed together."""
    cut = drawn.draw(st.integers(1, len(slots) - 1))
    data, found = variables(slots)
    starts, sizes, digits, counts = found
    at = int(counts[:cut].sum())
    first = Variables(starts[:at], sizes[:at], digits[:at], counts[:cut])
    rest = Variables(starts[at:], sizes[at:], digits[at:], counts[cut:])

    assert pack_slots(data, Words(data), [first, rest]) == pack(slots)


@pytest.mark.parametrize(
    ("slot", "form", "prefix", "suffix"),
    [
        (["0", "7", "123456789012345678"], DECIMAL, 0, 0),
        (["ord_7", "ord_12"], DECIMAL, 4, 0),
        (["12ms", "7ms"], DECIMAL, 0, 2),
        (["u_12B", "u_13B"], DECIMAL, 2, 1),
        (["07", "123"], MARKED, 0, 0),
        (["00", "00000000000000017"], MARKED, 0, 0),
        (["000000000000000017", "1"], TEXT, 0, 0),
        (["1234567890123456789", "1"], TEXT, 0, 0),
        (["00ff", "12ab"], HEX, 0, 0),
        (["x_0f0f1", "x_12ab2"], HEX, 2, 0),
        (["0f1", "12a"], TEXT, 0, 0),
        (["00FF", "12AB"], TEXT, 0, 0),
        (["a1", "b2c"], TEXT, 0, 0),
    ],
)
def test_a_slot_has_the_form_of_all_its_values(
    slot: list[str], form: int, prefix: int, suffix: int
) -> None:
    """The narrowest that gives each of them back."""
    data, found = variables([slot])

    shapes = shapes_of(data, Words(data), found)

    assert shapes.forms.tolist() == [form]
    assert (int(shapes.prefixes[0]), int(shapes.suffixes[0])) == (prefix, suffix)


@settings(max_examples=400, deadline=None)
@given(st.lists(SLOT, min_size=1, max_size=4), st.binary(max_size=60), st.data())
def test_damaged_variables_are_refused_or_read(
    slots: list[list[str]], noise: bytes, data: st.DataObject
) -> None:
    """By FrameError."""
    order = list(range(sum(map(len, slots))))
    for damaged in (noise, changed(data, pack(slots))):
        with suppress(FrameError):
            read(damaged, slots, order)


def test_each_damaged_byte_is_refused_or_read() -> None:
    """Whatever it becomes; what is cut off or added is refused."""
    slots = [["7", "300"], ["ord_9", "ord_8"], ["0a1b2", "ffff3"], ["a1", "b2c"]]
    whole = pack(slots)
    for place in range(len(whole)):
        with pytest.raises(FrameError):
            read(whole[:place], slots, [0])
        for byte in {0, 1, 3, 10, 255, whole[place] ^ 1, whole[place] ^ 128}:
            damaged = bytearray(whole)
            damaged[place] = byte
            with suppress(FrameError):
                read(bytes(damaged), slots, list(range(8)))
    with pytest.raises(FrameError):
        read(whole + b"a\n", slots, [0])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 10**18 - 1), min_size=1, max_size=20))
def test_numbers_are_written_as_they_were_read(numbers: list[int]) -> None:
    """Eight digits at a time, and four."""
    texts = [b"%d" % number for number in numbers]
    sizes = np.array(list(map(len, texts)), np.int64)
    starts = np.cumsum(sizes) - sizes

    parsed = parse_numbers(Words(b"".join(texts)), starts, sizes)
    written = write_numbers(parsed)

    assert parsed.tolist() == numbers
    places = zip(written.starts.tolist(), written.sizes.tolist(), strict=True)
    data = written.data.tobytes()
    assert [data[start : start + size] for start, size in places] == texts


def test_variables_never_change() -> None:
    """They are stored."""
    slots = [["7", "300"], ["ord_9", "ord_8"], ["00", "010"], ["0a1b2", "ffff3"]]

    assert pack([*slots, ["a1", "b2c"]]).hex() == (
        "050000000d000000040000000600000007000000"  # slots, bytes of four sections
        "0101020300"
        "0201020500"
        "0004000000"
        "0000000000"
        "01070000000000000001"
        "00015d"  # bases: from 7 on, one byte each
        "6f72645f"
        "0100"  # one byte a number
        "0025008e"
        "00010003"  # two bytes a number, low ones first
        "00a1b20ffff3"
        "61310a6232630a"
    )
