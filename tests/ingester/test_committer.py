"""Commits on a thread of their own: each ends once, well, or with what went wrong."""

import select
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.ingester.committer import Commit, Committer
from pipeline.ingester.intake import Cut
from pipeline.store.block import Part
from pipeline.store.reader import Reader
from pipeline.store.writer import Writer
from pipeline.wire.codec import batch_of
from tests.wire.messages import PRODUCER, entry

NOTHING = Cut([], [], [], [])


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """Of an empty database."""
    made = Writer(tmp_path / "test.db")
    yield made
    made.close()


@pytest.fixture
def committer(writer: Writer) -> Iterator[Committer]:
    """With a thread that waits."""
    made = Committer(writer)
    yield made
    made.close()


def wait(committer: Committer) -> Commit:
    """The commit that ends next."""
    while True:
        select.select([committer.wake], [], [], 10)
        if (ended := committer.ended()) is not None:
            return ended


def cut(sequence: int) -> Cut:
    """One entry."""
    batch = batch_of([entry()]).batch
    assert batch is not None
    return Cut([[Part(batch, PRODUCER, sequence, None)]], [], [], [])


def test_an_ended_commit_can_be_taken_at_any_moment(committer: Committer) -> None:
    """Also by one who looks all the time instead of waiting for the bell."""
    for _ in range(100):
        commit = Commit(NOTHING)
        committer.submit(commit)
        while (ended := committer.ended()) is None:
            pass
        assert ended is commit
        assert not committer.busy


def test_what_a_commit_ended_with_can_be_read(
    committer: Committer, writer: Writer
) -> None:
    """Blocks are numbered on."""
    for number in (1, 2):
        committer.submit(Commit(cut(number)))
        assert wait(committer).first_block == number

    reader = Reader(writer.path)
    reader.refresh()
    found = [reader.load(header).identities(np.array([0])) for header in reader.headers]
    assert found == [[(PRODUCER, 1)], [(PRODUCER, 2)]]
    reader.close()


def test_a_commit_that_failed_may_be_tried_again(
    committer: Committer, writer: Writer
) -> None:
    """Nothing of it was kept, and nothing of it is lost."""
    connection = writer._connection
    connection.execute("PRAGMA query_only = 1")
    commit = Commit(cut(1))
    committer.submit(commit)
    failed = wait(committer)
    assert failed is commit
    assert "can't be written" in str(failed.error)
    assert failed.error is not None

    connection.execute("PRAGMA query_only = 0")
    committer.submit(failed)

    assert wait(committer).error is None
    assert writer.last_block == 1


def test_a_broken_thread_is_not_waited_for(committer: Committer) -> None:
    """What it raised is raised where the process can end of it."""
    committer.submit(Commit(Cut([[]], [], [], [])))

    with pytest.raises(ValueError, match="at least one array"):
        wait(committer)


def test_with_durability_process_commits_are_synced_soon(tmp_path: Path) -> None:
    """Also when no further commit comes: a power cut costs a second, no more."""
    writer = Writer(tmp_path / "process.db", "process")
    committer = Committer(writer)
    committer.submit(Commit(cut(1)))
    assert wait(committer).error is None

    end = time.monotonic() + 20
    while writer.needs_sync and time.monotonic() < end:
        time.sleep(0.01)

    assert not writer.needs_sync
    committer.close()
    writer.close()


def test_with_durability_disk_nothing_is_left_to_sync(committer: Committer) -> None:
    """SQLite does it in each commit."""
    committer.submit(Commit(cut(1)))
    wait(committer)

    assert not committer._writer.needs_sync
