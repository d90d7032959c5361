"""The spool: what was appended is read until it is durable, within the limit."""

from __future__ import annotations

import datetime
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.delivery.spool import Batch, Rows, Spool, SpoolFullError
from pipeline.errors import DeliveryError, EntryError
from tests.delivery.spooling import (
    MIB,
    everything,
    filled,
    row,
    rows_of,
    segments,
    spool_in,
)

VALUES = {
    "text": "héllo\n",
    "integers": [-(1 << 63), (1 << 64) - 1],
    "float": 1e300,
    "null": None,
    "bytes": b"\xff",
    "nested": {"a": [{"b": True}]},
    "keys": {1: "a"},
}


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """One with nothing in it."""
    made = spool_in(tmp_path / "spool")
    yield made
    made.close(remove=True)


def test_rows_come_back_as_they_were(spool):
    """Every value that msgpack has a form for."""
    given = (-1, "s", 24, "", VALUES, ["a", "b"], "0af7")
    spool.append_row(5, given)

    ((number, (found,)),) = spool.read(1, 10, MIB)

    assert number == 5
    assert found == given


def test_rows_and_batches_keep_their_order(spool):
    """Neighbouring rows are one record, a gap begins another."""
    spool.append_row(1, row(1))
    spool.append_rows(2, [row(2), row(3)])
    spool.append_batch(4, 10, 8, 1, b"payload")
    spool.append_row(14, row(14))
    spool.append_row(20, row(20))

    assert spool.read(1, 100, MIB) == [
        Rows(1, [row(1), row(2), row(3)]),
        Batch(4, 10, 8, 1, b"payload"),
        Rows(14, [row(14)]),
        Rows(20, [row(20)]),
    ]
    assert (spool.first, spool.last) == (1, 20)


def test_reading_is_bounded(spool):
    """By rows and by bytes, but for the first record."""
    spool.append_rows(1, [row(n) for n in range(1, 11)])
    spool.append_batch(11, 500, 500, 0, bytes(1000))

    assert spool.read(3, 4, MIB) == [Rows(3, [row(n) for n in range(3, 7)])]
    assert len(spool.read(7, 100, 1)) == 1
    assert spool.read(9, 100, MIB) == [Rows(9, [row(9), row(10)])]
    assert spool.read(11, 1, 1) == [Batch(11, 500, 500, 0, bytes(1000))]
    assert spool.read(200, 1, 1) == [Batch(11, 500, 500, 0, bytes(1000))]
    assert spool.read(511, 1, 1) == []


def test_reading_goes_back_as_well_as_on(tmp_path):
    """Over segments, from any number."""
    spool = filled(tmp_path, 500, limit_bytes=128 << 10)

    assert len(segments(tmp_path)) > 2
    assert everything(spool) == rows_of(range(1, 501))
    assert everything(spool, 250, rows=7) == rows_of(range(250, 501))
    assert everything(spool, 30, size=500) == rows_of(range(30, 501))
    spool.close(remove=True)


def test_what_is_appended_while_it_is_read_is_read_too(spool):
    """The end moves on."""
    spool.append_row(1, row(1))
    assert everything(spool) == rows_of(range(1, 2))
    spool.append_row(2, row(2))

    assert everything(spool, 2) == rows_of(range(2, 3))


def test_nothing_is_made_before_it_is_needed(tmp_path):
    """And what is made is the user's own."""
    folder = tmp_path / "a" / "spool"
    spool = spool_in(folder)
    assert not folder.exists()
    assert (spool.is_empty, spool.first, spool.last, spool.bytes) == (True, 0, 0, 0)

    spool.append_row(1, row(1))

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [
        0o600,
        0o600,
    ]
    spool.close()


def test_bytes_are_those_of_the_files(tmp_path):
    """Through appends, release and giving up."""
    spool = filled(tmp_path, 600, limit_bytes=128 << 10)

    for change in (lambda: None, lambda: spool.release(300), spool.drop_oldest):
        change()
        assert spool.bytes == sum(path.stat().st_size for path in segments(tmp_path))
    spool.close(remove=True)


def test_what_is_durable_is_deleted(tmp_path):
    """Segment by segment, and all of it in the end."""
    spool = filled(tmp_path, 500, limit_bytes=128 << 10)
    before = len(segments(tmp_path))

    spool.release(400)

    assert 0 < len(segments(tmp_path)) < before
    assert (spool.first, spool.last) == (401, 500)
    assert everything(spool, 401) == rows_of(range(401, 501))
    spool.release(500)
    assert (spool.is_empty, spool.first, spool.last) == (True, 0, 0)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_the_limit_is_a_limit(tmp_path):
    """Of bytes on disk; what does not fit is not there."""
    limit = 32 << 10
    spool = spool_in(tmp_path, limit_bytes=limit)
    number = 0
    with suppress(SpoolFullError):
        while True:
            spool.append_row(number + 1, row(number + 1))
            number += 1

    with pytest.raises(SpoolFullError, match=f"{tmp_path}.*of 32,768 bytes"):
        spool.append_row(number + 1, row(number + 1))
    with pytest.raises(SpoolFullError):
        spool.append_batch(number + 1, 1, 1, 0, bytes(1000))
    assert limit - 200 < sum(p.stat().st_size for p in segments(tmp_path)) <= limit
    assert everything(spool) == rows_of(range(1, number + 1))
    spool.release(number)
    spool.append_row(number + 1, row(number + 1))
    assert everything(spool, number + 1) == rows_of(range(number + 1, number + 2))
    spool.close(remove=True)


def test_what_is_durable_makes_room_for_something_large(tmp_path):
    """Even when it shares the only segment that is there."""
    spool = filled(tmp_path, 3, limit_bytes=10_000)
    spool.release(3)

    spool.append_batch(4, 1, 1, 0, bytes(9_800))

    assert len(everything(spool, 4)) == 1
    spool.close(remove=True)


def test_the_oldest_can_be_given_up(tmp_path):
    """Its rows are counted, but for those that were durable."""
    spool = filled(tmp_path, 300, limit_bytes=64 << 10)
    spool.release(10)
    given_up = spool.drop_oldest()

    left = everything(spool)
    assert given_up == 300 - 10 - len(left)
    assert left == rows_of(range(spool.first, 301))
    while not spool.is_empty:
        given_up += spool.drop_oldest()
    assert given_up == 290
    assert spool.drop_oldest() == 0
    spool.append_row(301, row(301))
    assert everything(spool) == rows_of(range(301, 302))
    spool.close(remove=True)


def test_keys_that_are_arrays_come_back(spool):
    """What msgpack can write, it reads."""
    spool.append_row(1, (1, "s", 9, "m", {"k": {(1, 2): "b"}}, None, None))

    ((_, (found,)),) = spool.read(1, 10, MIB)

    assert found[4] == {"k": {(1, 2): "b"}}


@pytest.mark.parametrize(
    "odd", [datetime.datetime.now(datetime.UTC), 1 << 64, "\ud800", {1, 2}, object()]
)
def test_a_row_without_a_form_leaves_nothing(spool, odd):
    """The next one is as if it had not been."""
    spool.append_row(1, row(1))
    with pytest.raises(EntryError, match="msgpack"):
        spool.append_row(2, (1, "s", 9, "m", {"k": odd}, None, None))
    with pytest.raises(EntryError):
        spool.append_rows(2, [row(2), (1, "s", 9, "m", {"k": odd}, None, None)])

    spool.append_row(2, row(2))

    assert everything(spool) == rows_of(range(1, 3))


def test_numbers_only_grow(spool):
    """A number that was there is a mistake of the caller."""
    spool.append_batch(1, 5, 5, 0, b"")

    with pytest.raises(ValueError, match="number 5: it must be above 5"):
        spool.append_row(5, row(5))


def test_a_closed_spool_takes_nothing(tmp_path):
    """Its records stay for an adopter."""
    spool = filled(tmp_path, 2)
    spool.close()
    spool.close()

    with pytest.raises(DeliveryError, match="closed"):
        spool.append_row(3, row(3))
    assert len(segments(tmp_path)) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """With the reason; as soon as it can, it goes on."""
    wall = tmp_path / "file"
    wall.write_text("")
    spool = spool_in(wall / "spool")
    with pytest.raises(DeliveryError, match=f"{wall}/spool.*Not a directory"):
        spool.append_row(1, row(1))

    wall.unlink()
    spool.append_row(1, row(1))

    assert everything(spool) == rows_of(range(1, 2))
    spool.close()


def test_a_producer_has_one_owner(tmp_path):
    """Neither two at a time, nor one that knows nothing of what is there."""
    spool = filled(tmp_path, 1)
    other = Spool(tmp_path, spool.producer, limit_bytes=MIB)
    with pytest.raises(DeliveryError, match="another process owns"):
        other.append_row(1, row(1))
    spool.close()

    with pytest.raises(DeliveryError, match="has records"):
        other.append_row(1, row(1))


def test_a_fork_leaves_the_parents_spool_alone(tmp_path):
    """The child may neither write to it nor delete it, and locks it for nobody."""
    spool = filled(tmp_path, 3)
    child = os.fork()
    if child == 0:
        try:
            spool.append_row(4, row(4))
        except DeliveryError:
            spool.release(3)
            spool.drop_oldest()
            spool.close(remove=True)
            os._exit(0)
        os._exit(1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    spool.append_row(4, row(4))
    assert everything(spool) == rows_of(range(1, 5))
    spool.close()


def test_an_append_within_an_append_is_refused(spool):
    """As of a signal's handler; the one that it interrupts is whole."""

    class Fields(dict):
        def items(self):
            with pytest.raises(DeliveryError, match="middle of an append"):
                spool.append_row(2, row(2))
            with pytest.raises(DeliveryError, match="middle of an append"):
                spool.append_rows(3, [row(3)])
            return super().items()

    spool.append_row(1, (*row(1)[:4], Fields(n=1), *row(1)[5:]))
    spool.append_row(2, row(2))

    assert everything(spool) == rows_of(range(1, 3))


def test_threads_append_while_one_reads_and_releases(tmp_path):
    """Everything comes once, in order."""
    spool = spool_in(tmp_path, limit_bytes=256 << 10, fsync="interval")
    lock, last = threading.Lock(), 0

    def produce() -> None:
        nonlocal last
        while True:
            with lock:
                if last == 6000:
                    return
                try:
                    spool.append_row(last + 1, row(last + 1))
                except SpoolFullError:
                    continue
                last += 1

    threads = [threading.Thread(target=produce) for _ in range(3)]
    for thread in threads:
        thread.start()
    expected = 1
    while expected <= 6000:
        for record in spool.read(expected, 50, MIB):
            assert record == Rows(
                expected, [row(expected + n) for n in range(len(record.rows))]
            )
            expected += len(record.rows)
            spool.release(expected - 1)
            spool.sync(expected / 100)
    for thread in threads:
        thread.join()

    assert spool.is_empty
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_prints_does_not_print_into_it(tmp_path):
    """A process without standard output has no file of the spool in its place."""
    program = (
        "import os; os.close(0); os.close(1)\n"
        "from pathlib import Path\n"
        "from tests.delivery.spooling import filled\n"
        f"spool = filled(Path({str(tmp_path)!r}), 1)\n"
        "assert not os.path.exists('/proc/self/fd/0')\n"
        "assert not os.path.exists('/proc/self/fd/1')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)

    assert len(segments(tmp_path)) == 1
