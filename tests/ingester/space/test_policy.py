"""How full the disk is, and what follows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingester.space.policy import MB, Level, Marks, Stage, marks_of

MARKS = Marks(low=100 * MB, floor=16 * MB, reserve=16 * MB)


def seen(*frees: int, refused: bool = False) -> list[Stage]:
    """The stages, one look of two seconds after the other."""
    level = Level()
    found = []
    for number, free in enumerate(frees):
        level.see(free * MB, MARKS, 2.0 * number, refused=refused)
        found.append(level.stage)
    return found


def test_marks_are_shares_of_a_small_disk():
    """64 MB keep nine tenths for entries."""
    marks = marks_of(64 * MB, 256, 16)

    assert marks == (6_400_000, 1_600_000, 3_200_000)


def test_marks_of_a_large_disk_are_the_settings():
    """And the floor is what a few commits take."""
    assert marks_of(10**12, 256, 16) == (256 * MB, 16 * MB, 16 * MB)


def test_a_disk_fills_and_is_freed():
    """Each stage has a mark of its own on the way back."""
    stages = seen(500, 99, 110, 10, 47, 49, 116, 128, 200)

    assert [each.value for each in stages] == [
        *("plenty", "low", "low", "full", "full", "low", "plenty", "plenty", "plenty")
    ]


def test_a_refused_commit_makes_it_full_only_where_room_is_low():
    """A disk that refuses for another reason is no full one."""
    assert seen(500, refused=True) == [Stage.PLENTY]
    assert seen(50, refused=True) == [Stage.FULL]


def test_it_stays_full_while_a_commit_is_refused():
    """However much the disk says is free."""
    assert seen(50, 500, refused=True) == [Stage.FULL, Stage.FULL]


def test_full_lasts_a_second():
    """Room that is gone in a moment is none."""
    level = Level()
    level.see(0, MARKS, 10.0, refused=False)

    assert not level.see(500 * MB, MARKS, 10.9, refused=False)
    assert level.see(500 * MB, MARKS, 11.0, refused=False)


@given(st.lists(st.integers(0, 300 * MB), max_size=50))
def test_nobody_is_refused_with_room_nor_served_without(frees):
    """Whatever came before."""
    level = Level()
    for number, free in enumerate(frees):
        level.see(free, MARKS, 2.0 * number, refused=False)

        assert level.stage is not Stage.FULL or free < MARKS.resume
        assert level.stage is Stage.FULL or free >= MARKS.floor
        assert level.stage is not Stage.PLENTY or free >= MARKS.low
