"""What goes when room is short: DEBUG, then the oldest, ERROR last."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.ingester.space.reclaim import (
    FAILURES_MAX,
    RATION_SECONDS,
    Action,
    Reclaim,
    Step,
)

LONG = 60.0


class Block(NamedTuple):
    """As retention has it."""

    last: int
    rows: int = 100
    size: int = 1000


BLOCKS = [Block(number) for number in range(1, 21)]


def test_a_moment_without_room_takes_nothing():
    """Who filled the disk may be gone in a moment."""
    assert Reclaim().next(BLOCKS, 10_000, 4.9, 0.0) is None


def test_enough_room_takes_nothing():
    """What was replaced counts as free already."""
    assert Reclaim().next(BLOCKS, 0, LONG, 0.0) is None


def test_debug_goes_first_from_all_blocks():
    """Wherever it is."""
    assert Reclaim().next(BLOCKS, 1, LONG, 0.0) == Action(Step.DEBUG, 20)


def test_older_blocks_go_next_as_many_as_it_takes():
    """Of them what is below ERROR."""
    reclaim = Reclaim()
    reclaim.done(Step.DEBUG, 0)

    assert reclaim.next(BLOCKS, 2500, LONG, 0.0) == Action(Step.OLD, 3)


def test_error_goes_when_nothing_else_is_left():
    """With its blocks: what is below ERROR has gone from every one."""
    reclaim = Reclaim()
    reclaim.done(Step.DEBUG, 7)
    for swept in (3, 6, 9, 12, 15, 18, 20):
        assert reclaim.next(BLOCKS, 2500, LONG, 0.0) == Action(Step.OLD, swept)
        reclaim.done(Step.OLD, 0)

    assert reclaim.next(BLOCKS, 1, LONG, 0.0) == Action(Step.ERROR, 1)


def test_blocks_that_come_meanwhile_are_swept_before_errors_go():
    """Whenever they come."""
    reclaim = Reclaim()
    reclaim.done(Step.DEBUG, 0)
    reclaim.next(BLOCKS, 10**9, LONG, 0.0)
    assert reclaim.next(BLOCKS[:2], 10**9, LONG, 0.0) == Action(Step.OLD, 2)
    reclaim.done(Step.OLD, 0)

    assert reclaim.next(BLOCKS[:3], 10**9, LONG, 0.0) == Action(Step.OLD, 3)


def test_a_step_that_failed_is_done_again():
    """Its failure costs no ERROR; only where it stays so whole blocks go."""
    reclaim = Reclaim()
    reclaim.done(Step.DEBUG, 0)
    for _ in range(FAILURES_MAX):
        assert reclaim.next(BLOCKS, 1, LONG, 0.0) == Action(Step.OLD, 1)
        reclaim.done(Step.OLD, 0, failed=True)

    assert reclaim.next(BLOCKS, 1, LONG, 0.0) == Action(Step.ERROR, 1)


def test_a_fifth_goes_in_ten_minutes_at_most():
    """Something else may fill the disk for ever."""
    reclaim = Reclaim()
    reclaim.done(Step.DEBUG, 0)
    assert reclaim.next(BLOCKS, 10**9, LONG, 0.0) == Action(Step.OLD, 4)
    reclaim.done(Step.OLD, 400)

    assert reclaim.next(BLOCKS, 10**9, LONG, 1.0) is None
    assert reclaim.is_spent
    reclaim.done(Step.DEBUG, 0)
    assert reclaim.next(BLOCKS, 10**9, LONG, RATION_SECONDS) == Action(Step.OLD, 8)


def test_the_newest_block_is_not_dropped():
    """It tells who has sent what."""
    reclaim = Reclaim(can_rewrite=False)

    assert reclaim.next(BLOCKS[:2], 10**9, LONG, 0.0) is None
    assert reclaim.is_spent
    assert Reclaim().next(BLOCKS[:1], 1, LONG, 0.0) == Action(Step.DEBUG, 1)


def test_without_rewriting_whole_blocks_go():
    """The oldest, whatever they hold."""
    found = Reclaim(can_rewrite=False).next(BLOCKS, 1, LONG, 0.0)

    assert found == Action(Step.ERROR, 1)


def test_when_there_was_room_debug_is_first_again():
    """New DEBUG has come since."""
    reclaim = Reclaim()
    reclaim.done(Step.DEBUG, 0)
    reclaim.relax()

    assert reclaim.next(BLOCKS, 1, LONG, 0.0) == Action(Step.DEBUG, 20)


def test_debug_is_looked_for_once_a_minute():
    """All blocks are looked at for it."""
    reclaim = Reclaim()
    assert reclaim.next(BLOCKS, 1, LONG, 0.0) == Action(Step.DEBUG, 20)
    reclaim.done(Step.DEBUG, 0)
    reclaim.done(Step.OLD, 0)
    reclaim.done(Step.ERROR, 0)

    assert reclaim.next(BLOCKS, 1, LONG, 59.0) == Action(Step.OLD, 1)
