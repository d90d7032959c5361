"""The age of a block is time that was seen to pass."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingester.retention.elapsed import DAY, SECOND, Elapsed, Jump

HOUR = 3600 * SECOND
YEAR = 365 * DAY
LOOKS = 2 * HOUR
"""What came between two looks may be thought younger by as much."""

T0 = 1_800_000_000 * SECOND


class Block(NamedTuple):
    """What of a block counts here."""

    last: int
    committed: int


class World:
    """A store that commits once an hour under a clock that somebody sets."""

    def __init__(self) -> None:
        self.passed = self.off = 0
        self.elapsed = Elapsed(T0)
        self.blocks: list[Block] = []
        self.true: list[int] = []
        self._look()

    def run(self, hours: int) -> None:
        """Time passes while it runs."""
        for _ in range(hours):
            self.passed += HOUR
            self._commit()
            self._look()

    def set_clock(self, *by: int) -> None:
        """Somebody sets the clock, and blocks come before anybody looks."""
        self._commit()
        for each in by:
            self.off += each
            self._commit()
        self._look()

    def restart(self, by: int = 0) -> None:
        """It ends and starts again, and meanwhile the clock was set."""
        self.off += by
        self.elapsed = Elapsed.unpack(self.elapsed.pack())
        self._look()

    @property
    def clock(self) -> int:
        """The time of day."""
        return T0 + self.passed + self.off

    def _look(self) -> None:
        self.elapsed.look(self.clock, self.passed, self.blocks)

    def _commit(self) -> None:
        self.blocks.append(Block(len(self.blocks) + 1, self.clock))
        self.true.append(self.passed)

    def errors(self) -> list[int]:
        """Of each block, how much older it is thought than it is."""
        ages = self.elapsed.ages(self.blocks)
        return [
            age - (self.passed - at) for age, at in zip(ages, self.true, strict=True)
        ]


@pytest.mark.parametrize("by", [YEAR, -YEAR])
def test_a_clock_that_is_set_by_a_year_makes_nothing_old(by: int) -> None:
    """At most a day is added, while it is wrong and when it is right again."""
    world = World()
    world.run(48)
    world.set_clock(by)
    world.run(48)
    assert max(world.errors()) <= DAY
    world.set_clock(-by)
    world.run(48)

    assert max(world.errors()) <= 2 * DAY
    assert min(world.errors()) >= -LOOKS


@pytest.mark.parametrize("by", [YEAR, -YEAR])
def test_a_clock_that_was_set_while_it_was_off_does_not_either(by: int) -> None:
    """What nobody saw pass counts as a day at most."""
    world = World()
    world.run(48)
    world.restart(by)
    world.run(48)

    assert max(world.errors()) <= DAY
    assert min(world.errors()) >= -LOOKS


def test_a_clock_that_is_set_several_times_at_once() -> None:
    """The blocks in between tell of each time."""
    world = World()
    world.run(48)
    world.set_clock(-YEAR, -5 * YEAR, 9 * YEAR, 3 * DAY, -4 * YEAR)
    world.run(48)

    assert max(world.errors()) <= 2 * DAY
    assert min(world.errors()) >= -LOOKS


def test_time_that_passes_makes_old() -> None:
    """Hour by hour, with a clock that is right, and over restarts of some hours."""
    world = World()
    for _ in range(5):
        world.run(10)
        world.restart()

    assert set(world.errors()) == {0}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(1, 30)),
        st.tuples(st.just("set_clock"), st.integers(-400, 400).map(lambda d: d * DAY)),
        st.tuples(st.just("restart"), st.integers(-400, 400).map(lambda d: d * DAY)),
    ),
    max_size=12,
)


@given(steps)
def test_no_jump_adds_more_than_a_day(done: list[tuple[str, int]]) -> None:
    """However the clock is set, blocks are as old as they are, and a day a jump."""
    world = World()
    for name, value in done:
        getattr(world, name)(value)

    jumps = sum(name != "run" for name, _ in done)
    assert all(-LOOKS <= error <= jumps * DAY for error in world.errors())


def test_a_block_that_covers_a_jump_is_not_younger_than_the_next() -> None:
    """A block that was merged over it has the later clock."""
    elapsed = Elapsed(T0 + 10 * HOUR, 4, [Jump(2, -YEAR)])
    merged = Block(3, T0 + YEAR)

    assert elapsed.ages([merged, Block(4, T0 + 4 * HOUR)]) == [6 * HOUR, 6 * HOUR]


def test_jumps_older_than_all_blocks_are_forgotten() -> None:
    """And what is kept is bounded."""
    elapsed = Elapsed(T0, 3000, [Jump(commit, DAY) for commit in range(3000)])
    elapsed.forget(500)

    assert len(elapsed.jumps) == 1000
    assert sum(jump.by for jump in elapsed.jumps) == 2500 * DAY


@pytest.mark.parametrize("text", ["", "7", "[]", '{"seen": 1}', '{"jumps": [[1]]}'])
def test_a_record_that_is_none_is_refused(text: str) -> None:
    """A damaged row of meta is no clock."""
    with pytest.raises(ValueError, match=r"."):
        Elapsed.unpack(text)
