"""Rows become portions, in bounded memory."""

from typing import Any, cast

import msgpack
import pytest

from pipeline.batch.encode import Row
from pipeline.collectors.accumulator import Accumulator, Ready
from pipeline.collectors.cost import cost_beside_message
from tests.interrupting import at_point

ROW: Row = (1, "web", 9, "x" * 100, None, None, None)
COST = cost_beside_message(ROW) + 100


def accumulator(
    memory: int = 1 << 20, rows: int = 3, size: int = 1 << 20
) -> Accumulator:
    """With portions of three rows, unless a test says otherwise."""
    made = Accumulator(memory, rows, size)
    made.row_cost = COST - 100
    return made


def row(level: int, message: str) -> Row:
    """One of a level."""
    return (1, "web", level, message, None, None, None)


def messages(made: Accumulator) -> list[str]:
    """Of all that waits."""
    found = []
    while not made.is_empty:
        found += [row[3] for row in made.take().rows]
    return found


def test_the_first_row_and_the_one_that_fills_a_batch_wake_the_sender() -> None:
    """The first starts its linger; the rest would be noise."""
    made = accumulator()

    assert [made.append(ROW) for _ in range(5)] == [True, False, True, True, False]


def test_full_portions_are_taken_first_then_what_waits() -> None:
    """In the order in which rows came in."""
    made = accumulator()
    rows = [row(9, str(number)) for number in range(5)]
    for one in rows:
        made.append(one)

    assert [made.take().rows, made.take().rows] == [rows[:3], rows[3:]]
    assert (made.accepted, made.is_empty) == (5, True)


def test_an_encoded_batch_keeps_its_turn() -> None:
    """Behind the rows before it, and before those after it."""
    made = accumulator()
    ready = Ready(b"encoded", 7, 7)
    made.append(ROW)
    assert made.append_ready(ready)
    made.append(ROW)

    portions = [made.take() for _ in range(3)]

    assert [portion.ready for portion in portions] == [None, ready, None]
    assert made.accepted == 9


def test_a_portion_ends_by_bytes_too() -> None:
    """As many as rows of its cost were found to have, encoded."""
    made = accumulator(rows=1000, size=3 * COST // 4 - 10)

    for _ in range(3):
        made.append(ROW)

    assert [len(portion.rows) for portion in made.full] == [3]


def test_a_portion_grows_when_its_rows_shrink_by_encoding() -> None:
    """What counts for it is the size on the wire."""
    made = accumulator(memory=1 << 30, rows=1000, size=10_000)

    for _ in range(100):
        made.measured(20_000, 1000)
    for _ in range(10_000 * 20 // COST + 1):
        made.append(ROW)

    assert [len(portion.rows) for portion in made.full] == [10_000 * 20 // COST + 1]


def test_memory_is_bounded() -> None:
    """What waits and what is held elsewhere count together; taking makes room."""
    made = accumulator(memory=2 * COST + 10)
    assert made.append(ROW) is not None
    assert made.append(ROW) is not None
    assert made.append(ROW) is None

    made.take()
    assert made.append(ROW) is not None
    assert made.cost == COST

    made.hold(2 * COST)
    assert made.append(ROW) is None
    assert not made.append_ready(Ready(b"", 1, 1))


def test_one_row_is_taken_however_large() -> None:
    """It would never have room, and a caller that blocks would wait for ever."""
    made = accumulator(memory=100)

    assert made.append(ROW) is not None
    assert made.append(ROW) is None


def test_what_rows_cost_is_learned_from_some_of_them() -> None:
    """Large metadata fills the memory soon, though it is not counted each time."""
    made = accumulator(memory=10_000_000, rows=1000)
    large: Row = (1, "web", 9, "", {"k": "x" * 100_000}, None, None)

    taken = 0
    while made.append(large) is not None:
        taken += 1

    assert 50 < taken < 150


def test_the_lowest_level_is_evicted_first() -> None:
    """The oldest or the newest of it, and only below the asking one's."""
    made = accumulator()
    for level, name in ((9, "a"), (5, "b"), (5, "c"), (17, "d"), (5, "e")):
        made.append(row(level, name))

    assert made.evict(9, newest=True) == 5
    assert made.evict(9, newest=False) == 5
    assert made.evict(5, newest=False) is None
    assert made.evict(17, newest=False) == 5
    assert made.evict(9, newest=False) is None
    assert messages(made) == ["a", "d"]


def test_what_is_evicted_makes_room() -> None:
    """As much as rows of its portion cost on average."""
    made = accumulator(memory=4 * COST + 10)
    for _ in range(4):
        made.append(ROW)
    assert made.append(row(17, "x" * 100)) is None

    made.evict(17, newest=False)

    assert made.append(row(17, "x" * 100)) is not None


def test_a_closed_one_takes_nothing() -> None:
    """However empty it is."""
    made = accumulator()
    made.close()

    assert made.append(ROW) is None
    assert not made.append_ready(Ready(b"", 1, 1))


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("x" * 1000, 1000, 1500),
        (list(range(1000)), 8000, 80_000),
        ({str(key): "x" * 100 for key in range(50)}, 5000, 15_000),
        ([["x" * 1000]] * 300, 150_000, 500_000),
        (object(), 100, 1000),
    ],
)
def test_the_cost_of_a_value_is_that_of_all_it_holds(
    value: object, least: int, most: int
) -> None:
    """Nested ones too; of very many, some are looked at."""
    bare = cost_beside_message((1, "web", 9, "", {"k": None}, None, None))
    found = cost_beside_message((1, "web", 9, "", {"k": value}, None, None))

    assert least < found - bare < most


def test_a_value_within_itself_ends() -> None:
    """A program may log one."""
    endless: list[object] = []
    endless.append(endless)

    assert cost_beside_message((1, "web", 9, "", {"k": endless}, None, None)) > 0


def test_a_row_costs_more_than_it_takes_encoded() -> None:
    """Four times for small ones: that is what the bound is about."""
    small: Row = (1 << 60, "web", 9, "", {"port": 8080, "host": "a1"}, ["t"], "f" * 32)

    assert cost_beside_message(small) > 4 * len(msgpack.packb(small))


def test_taking_rows_out_does_not_look_at_all_of_them_again() -> None:
    """A call that makes room costs as much however many rows wait."""
    made = accumulator(memory=1 << 40, rows=100)
    looked = 0

    class Counted(tuple[Any, ...]):
        def __getitem__(self, place: Any) -> Any:
            nonlocal looked
            looked += place == 2
            return super().__getitem__(place)

    for _ in range(10_000):
        made.append(cast(Row, Counted(ROW)))
    for _ in range(1000):
        assert made.evict(17, newest=False) == 9

    assert looked == 10_000
    assert (made.numbers, made.accepted) == (9000, 10_000)
    assert len(messages(made)) == 9000


def test_a_portion_whose_rows_are_all_taken_out_is_none() -> None:
    """Neither full nor filling; what comes later is there."""
    made = accumulator()
    for level in (5, 5, 5, 5):
        made.append(row(level, "old"))
    for _ in range(4):
        assert made.evict(9, newest=True) == 5
    assert made.evict(9, newest=True) is None
    made.append(row(5, "new"))

    assert made.numbers == 1
    assert messages(made) == ["new"]
    assert made.cost == 0


def test_what_was_taken_out_takes_no_room() -> None:
    """Neither rows nor the notes of where they were pile up while nothing is sent."""
    made = accumulator(rows=100)
    entered = taken = 0

    for number in range(200_000):
        level = 17 if number % 3 else 5
        while made.append(row(level, "x" * 100)) is None:
            if made.evict(level, newest=False) is None:
                taken += len(made.take().rows)
        entered += 1

    waiting = made.numbers
    slots = sum(len(portion.rows) for portion in made.full)
    assert made.evicted > 1000
    assert made.accepted == entered == taken + waiting + made.evicted
    assert slots < 3 * waiting + 10_000
    assert sum(map(len, made._places.values())) < 3 * waiting + 10_000


@pytest.mark.parametrize("batch_rows", [3, 4, 100])
def test_a_row_whose_append_is_interrupted_is_in_no_portion_that_is_gone(
    batch_rows: int,
) -> None:
    """A handler that waits for room meanwhile lets the sender take what is there."""
    number, passed = 0, [""]
    while len(passed) >= number:
        number += 1
        waiting = accumulator(rows=batch_rows)
        rows = [row(9, str(each)) for each in range(4)]
        taken: list[Row] = []

        def take(waiting: Accumulator = waiting, taken: list[Row] = taken) -> None:
            while not waiting.is_empty:
                taken += waiting.take().rows

        with waiting.lock:
            waiting.append(rows[0])
            waiting.append(rows[1])
            with at_point(number, take) as passed:
                waiting.append(rows[2])
            waiting.append(rows[3])
        take()
        assert taken == rows, passed[:number]
        assert waiting.passed == waiting.accepted == 4
    assert number > 5
