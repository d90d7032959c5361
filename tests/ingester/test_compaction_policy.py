"""Which blocks become one: streams of blocks, merged as the policy says."""

from __future__ import annotations

import bisect
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingester.compaction.policy import FULL, ROW_BYTES, choose
from pipeline.limits import BATCH_ROWS


class Block(NamedTuple):
    id: int
    rows: int
    size: int
    tier: int


class Store:
    """Blocks, and how many rows were written again."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.committed = self.rewritten = self.last = 0
        self.worst = 0
        """The most blocks that are not full, after merging."""

    def commit(self, rows: int, size: int = 0) -> None:
        self.last += 1
        self.blocks.append(Block(self.last, rows, size, 0))
        self.committed += rows

    def settle(self, **how: bool) -> None:
        """Merge until nothing is worth it."""
        while (choice := choose(self.blocks, **how)) is not None:
            chosen = self.blocks[choice.first : choice.end]
            assert len(chosen) > 1 or chosen[0].tier == 0
            rows = sum(block.rows for block in chosen)
            assert rows <= BATCH_ROWS
            tier = max(block.tier for block in chosen) + 1
            self.last += 1
            made = Block(self.last, rows, sum(block.size for block in chosen), tier)
            self.blocks[choice.first : choice.end] = [made]
            self.rewritten += rows
        self.worst = max(self.worst, sum(b.rows < FULL for b in self.blocks))

    @property
    def amplification(self) -> float:
        return self.rewritten / self.committed


def test_a_source_that_logs_one_line_a_second_ends_in_full_blocks() -> None:
    """A day of it: each line is written again four times."""
    store = Store()
    for second in range(86_400):
        store.commit(1)
        if second % 8 == 0:
            store.settle()

    assert store.worst < 64
    assert store.amplification < 4.5
    assert store.blocks[0].rows >= FULL


def test_twenty_commits_a_second_end_in_full_blocks() -> None:
    """Of 50 entries each, as at 1,000 entries a second."""
    store = Store()
    for _ in range(10_000):
        store.commit(50)
        store.settle()

    assert store.worst < 64
    assert store.amplification < 4
    assert sum(b.rows >= FULL for b in store.blocks) >= 7


def test_large_commits_are_written_again_once() -> None:
    """As at 200,000 entries a second; and full ones too, for their filters."""
    store = Store()
    for rows in [10_000] * 120 + [BATCH_ROWS] * 20:
        store.commit(rows)
        store.settle()

    assert store.amplification <= 1.1
    assert all(block.tier == 1 for block in store.blocks)


def test_bytes_fill_a_block_as_rows_do() -> None:
    """Rows of 100 KiB: a block is not a gigabyte."""
    store = Store()
    for _ in range(400):
        store.commit(10, 1_000_000)
        store.settle()

    assert max(block.size for block in store.blocks) <= BATCH_ROWS * ROW_BYTES
    assert len(store.blocks) <= 30 + 16


sizes = st.one_of(
    st.integers(1, 3), st.integers(1, 100), st.integers(1, BATCH_ROWS), st.just(60_000)
)
streams = st.lists(
    st.tuples(sizes, st.integers(1, 40), st.booleans()), min_size=1, max_size=20
)


@settings(deadline=None, max_examples=40)
@given(streams)
def test_any_stream_is_written_again_a_bounded_number_of_times(stream) -> None:
    """And leaves a bounded number of blocks behind for each full block of rows."""
    store = Store()
    for rows, times, idle in stream:
        for _ in range(times):
            store.commit(rows)
            store.settle(idle=idle)

    assert store.amplification <= 9
    full = store.committed / BATCH_ROWS
    assert store.worst <= 100 + 40 * full


@settings(deadline=None, max_examples=25)
@given(streams)
def test_everything_ends_compacted_and_packed(stream) -> None:
    """No block is fresh then, and no two neighbours that are small fit one."""
    store = Store()
    for rows, times, _ in stream:
        for _ in range(times):
            store.commit(rows)
    store.settle(everything=True)

    assert all(block.tier for block in store.blocks)
    assert choose(store.blocks, everything=True) is None
    assert sum(block.rows for block in store.blocks) == store.committed
    assert len(store.blocks) <= 2 + 3 * store.committed / BATCH_ROWS


@given(st.lists(sizes, min_size=1, max_size=40), st.data())
def test_what_must_be_left_alone_is(sizes, data) -> None:
    """Neither alone nor across a wall."""
    blocks = [Block(place, rows, 0, 0) for place, rows in enumerate(sizes)]
    places = st.sets(st.integers(0, len(blocks) - 1))
    alone, walls = data.draw(places), data.draw(places)

    choice = choose(blocks, everything=True, alone=alone, walls=walls)

    if choice is None:
        assert len(alone) == len(blocks)
        return
    assert not alone & set(range(choice.first, choice.end))
    inside = sorted(walls)
    low = bisect.bisect_left(inside, choice.first)
    assert not [wall for wall in inside[low:] if wall < choice.end - 1]
