"""Which blocks go, by age and by room."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingester.retention.policy import (
    LOW_SHARE,
    ROOM_SHARE,
    Hold,
    Room,
    expired,
    is_mass,
    too_much,
)


class Block(NamedTuple):
    """What of a block counts here."""

    rows: int
    size: int


def test_the_oldest_go_by_age() -> None:
    """Those above it, from the oldest on."""
    assert [expired([50, 40, 30, 20], most) for most in (60, 50, 35, 0)] == [0, 0, 2, 4]


def test_below_the_room_nothing_goes() -> None:
    """Up to a share of it that leaves room for the WAL."""
    blocks = [Block(10, 100)] * 9

    assert too_much(blocks, Room(1000, 880, 0)) == 0
    assert too_much(blocks, Room(1000, 881, 0)) == 1


def test_what_is_leaving_already_is_not_made_room_for_twice() -> None:
    """Until dropped blocks are gone they take room, and others needn't go for it."""
    blocks = [Block(10, 100)] * 9

    assert too_much(blocks, Room(1000, 970, 90)) == 0
    assert too_much(blocks, Room(1000, 1060, 90)) == 2


@given(st.lists(st.integers(1, 400), min_size=1), st.integers(0, 3000))
def test_enough_goes_and_no_block_more(sizes: list[int], others: int) -> None:
    """The fewest whole blocks, and never the newest one."""
    blocks = [Block(1, size) for size in sizes]
    room = Room(2000, sum(sizes) + others, others // 2)
    count = too_much(blocks, room)
    left = room.staying - sum(sizes[:count])

    assert count < len(blocks)
    if count:
        assert room.staying > ROOM_SHARE * room.most
        assert left + sizes[count - 1] > LOW_SHARE * room.most
    if count < len(blocks) - 1:
        assert left <= ROOM_SHARE * room.most


def test_a_mass_deletion_is_a_fifth_of_all_entries() -> None:
    """By entries, not by blocks."""
    blocks = [Block(1, 9), Block(1, 9), Block(8, 9)]

    assert [is_mass(blocks, count) for count in range(4)] == [False, False, False, True]


def test_a_mass_deletion_has_to_be_asked_for_twice() -> None:
    """And if it is not to be done in between, from the beginning."""
    hold = Hold(3600)

    assert hold.passes(False, 0.0)
    assert not hold.passes(True, 10.0)
    assert not hold.passes(True, 3609.0)
    assert hold.passes(False, 3609.5)
    assert not hold.passes(True, 3610.0)
    assert hold.passes(True, 7210.0)


def test_a_mass_deletion_that_has_begun_goes_on() -> None:
    """Step by step, until what is left is no mass; the next one waits again."""
    hold = Hold(3600)
    hold.passes(True, 0.0)

    assert all(hold.passes(True, 3600.0 + step) for step in range(5))
    assert hold.passes(False, 3606.0)
    assert not hold.passes(True, 3607.0)
