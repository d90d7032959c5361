"""Rows become batches, in bounded memory."""

from pipeline.batch.encode import Row
from pipeline.collectors.accumulator import Accumulator

ROW: Row = (1, "web", 9, "x" * 100, None, None, None)


def accumulator(
    memory: int = 1 << 20, rows: int = 3, size: int = 1 << 20
) -> Accumulator:
    """With batches of three rows, unless a test says otherwise."""
    return Accumulator(memory, rows, size)


def test_the_first_row_and_the_one_that_fills_a_batch_wake_the_sender() -> None:
    """The first starts its linger; the rest would be noise."""
    made = accumulator()

    assert [made.append(ROW) for _ in range(5)] == [True, False, True, True, False]


def test_full_batches_are_taken_first_then_what_waits() -> None:
    """In the order in which rows came in."""
    made = accumulator()
    rows = [(*ROW[:3], str(number), None, None, None) for number in range(5)]
    for row in rows:
        made.append(row)

    assert [made.take(), made.take()] == [rows[:3], rows[3:]]
    assert made.appended == 5


def test_a_batch_ends_by_bytes_too() -> None:
    """A row is its message and what rows have cost beside it."""
    made = accumulator(rows=1000, size=1000)

    for _ in range(3):
        made.append(ROW)

    assert [len(rows) for rows, _ in made.full] == [3]


def test_memory_is_bounded() -> None:
    """What waits and what is held count together; taking makes room."""
    made = accumulator(memory=1000)
    assert made.append(ROW) is not None
    assert made.append(ROW) is not None
    assert made.append(ROW) is None

    made.take()
    assert made.append(ROW) is not None

    made.held_bytes = 900
    assert made.append(ROW) is None


def test_a_rows_cost_is_learned_from_what_was_encoded() -> None:
    """Large metadata fills the memory sooner."""
    made = accumulator(memory=10_000)

    made.measured(10, 91_000, 1000)

    assert made.append(ROW) is not None
    assert made.append(ROW) is None


def test_a_closed_one_takes_nothing() -> None:
    """However empty it is."""
    made = accumulator()
    made.close()

    assert made.append(ROW) is None
