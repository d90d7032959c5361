"""Whatever is committed, joined, dropped and purged: a reader sees what there is."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.entry import Entry
from pipeline.store.block import Part, seal_block
from pipeline.store.compacted import compact
from pipeline.store.reader import Reader
from pipeline.store.writer import Writer
from pipeline.wire.codec import batch_of
from tests.store.build import PRODUCER

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
ROWS = 3

places = st.integers(0, 9)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(1, 3), st.just(0)),
        st.tuples(st.sampled_from(["join", "drop", "delete"]), places, places),
        st.tuples(st.just("purge"), st.integers(1, 5), st.just(0)),
        st.tuples(st.sampled_from(["look", "reopen", "vacuum"]), places, st.just(0)),
    ),
    min_size=5,
    max_size=25,
)


class Store:
    """A store and what must be in it: the messages of each commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer = Writer(path, "process")
        self.expected: dict[int, list[str]] = {}

    def commit(self, count: int) -> None:
        for _ in range(count):
            number = self.writer.last_block + 1
            rows = [
                Entry(number, "web", 9, f"message {number} {row}", {}, [], None)
                for row in range(ROWS)
            ]
            batch = batch_of(rows).batch
            assert batch is not None
            part = Part(batch, PRODUCER, number * ROWS, None)
            assert self.writer.commit([seal_block([part])], [], [], [], 1) == number
            self.expected[number] = [row.message for row in rows]

    def change(self, step: str, at: int, size: int) -> None:
        """Join, delete from, or drop neighbours."""
        with closing(Reader(self.path)) as reader:
            reader.refresh()
            chosen = reader.headers[at : at + size + 1]
            if not chosen:
                return
            first, last = chosen[0].first, chosen[-1].last
            blocks = list(map(reader.load, chosen))
            if step == "drop":
                self.writer.drop(first, last, now=1)
            else:
                keep = None
                if step == "delete":
                    keep = [np.arange(block.rows) % ROWS != 1 for block in blocks]
                self.writer.swap(compact(blocks, 1, keep))
        if step == "join":
            return
        for number in [n for n in self.expected if first <= n <= last]:
            rows = self.expected.pop(number)
            if step == "delete":
                block = next(b for b in blocks if b.first <= number <= b.last)
                start, end = block.rows_between(number - 1, number)
                kept = np.arange(start, end) % ROWS != 1
                rows = [row for row, is_kept in zip(rows, kept, strict=True) if is_kept]
                self.expected.update({number: rows} if rows else {})

    def reopen(self) -> None:
        """As after an end or a kill; nothing may be found wrong."""
        last, said = self.writer.last_block, list[str]()
        self.writer.close()
        self.writer = Writer(self.path, "process", said.append)
        assert (said, self.writer.last_block) == ([], last)


def seen(reader: Reader) -> dict[int, list[str]]:
    """The messages of each commit, as a reader has them now."""
    reader.refresh()
    found: dict[int, list[str]] = {}
    for block in map(reader.load, reader.headers):
        messages = block.batch.columns["message"].values()
        for number in block.commits.numbers.tolist():
            start, end = block.rows_between(number - 1, number)
            assert number not in found, "a commit is in two blocks"
            found[number] = messages[start:end]
    return found


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_every_reader_sees_what_there_is(made: list[tuple[str, int, int]]) -> None:
    """One that always looks, one that seldom does, and one that comes late."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, ExitStack() as stack:
        store = Store(Path(folder) / "logs.db")
        stack.callback(lambda: store.writer.close())
        often, seldom = (Reader(store.path) for _ in range(2))
        stack.callback(often.close)
        stack.callback(seldom.close)
        for step, at, size in made:
            if step == "commit":
                store.commit(at)
            elif step == "purge":
                store.writer.purge(1 << 60, at)
            elif step == "vacuum":
                store.writer.vacuum(at)
            elif step == "reopen":
                store.reopen()
            elif step == "look":
                assert seen(seldom) == store.expected
            else:
                store.change(step, at, size)
            assert seen(often) == store.expected
        with closing(Reader(store.path)) as late:
            assert seen(late) == seen(seldom) == store.expected
