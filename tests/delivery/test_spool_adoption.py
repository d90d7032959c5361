"""Spools whose owners are dead: found by one, whole, and with nothing that was not."""

from __future__ import annotations

import mmap
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.delivery.spool import Batch, Spool, orphans
from pipeline.errors import SpoolFullError
from tests.delivery.spooling import everything, filled, row, rows_of, segments

APPENDER = """
import mmap, struct, sys
from pathlib import Path
from tests.delivery.spooling import row, spool_in

folder, fsync = Path(sys.argv[1]), sys.argv[2]
spool = spool_in(folder / "spool", limit_bytes=1 << 30, fsync=fsync)
with open(folder / "accepted", "r+b") as file:
    accepted = mmap.mmap(file.fileno(), 8)
number = 0
while True:
    number += 1
    spool.append_row(number, row(number))
    accepted[:] = struct.pack("<Q", number)
    if number % 50 == 0:
        spool.sync(number / 1000)
"""


class Appender:
    """A process that appends rows until it is killed, and says how far it is."""

    def __init__(self, folder: Path, fsync: str = "none") -> None:
        folder.mkdir()
        (folder / "accepted").write_bytes(bytes(8))
        with (folder / "accepted").open("r+b") as file:
            self._accepted = mmap.mmap(file.fileno(), 8)
        self.folder = folder / "spool"
        self._child = subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(folder), fsync]
        )

    @property
    def accepted(self) -> int:
        """The highest number whose append has returned."""
        return int(struct.unpack("<Q", self._accepted[:])[0])

    def wait_for(self, number: int) -> None:
        """Until it is there."""
        end = time.monotonic() + 20
        while self.accepted < number:
            assert time.monotonic() < end
            assert self._child.poll() is None
            time.sleep(0.001)

    def kill(self) -> None:
        """As it stands."""
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()


def left_by_the_dead(folder: Path, rows: int, **changes: object) -> None:
    """A spool whose owner is gone."""
    filled(folder, rows, **changes).close()


def adopted(folder: Path, reports: list[str] | None = None) -> Spool:
    """The only one."""
    (spool,) = orphans(folder, [].append if reports is None else reports.append)
    return spool


@pytest.mark.parametrize(("fsync", "rows"), [("none", 9_000), ("interval", 3_000)])
def test_a_killed_process_leaves_all_it_accepted(tmp_path, fsync, rows):
    """In the middle of an append, whatever it was doing."""
    for attempt in range(4):
        appender = Appender(tmp_path / str(attempt), fsync)
        appender.wait_for(rows + 1111 * attempt)
        assert list(orphans(appender.folder)) == []
        appender.kill()

        spool = adopted(appender.folder)

        accepted = appender.accepted
        assert accepted <= spool.last <= accepted + 1
        assert everything(spool, rows=5000) == rows_of(range(1, spool.last + 1))
        assert spool.damaged == 0
        spool.release(spool.last)
        spool.close()
        assert list(appender.folder.iterdir()) == []


def test_one_of_several_adopters_gets_it(tmp_path):
    """Processes that come at the same time."""
    for _ in range(3):
        left_by_the_dead(tmp_path, 100)
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from pipeline.delivery.spool import orphans\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        f"found = list(orphans(Path({str(tmp_path)!r})))\n"
        "print(*(spool.producer.hex() for spool in found), flush=True)\n"
        "sys.stdin.readline()\n"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    found = " ".join(child.stdout.readline() for child in children).split()
    for child in children:
        child.communicate("end\n")

    assert (len(found), len(set(found))) == (3, 3)
    assert len(list(orphans(tmp_path))) == 3


def test_a_forked_child_keeps_nobody_from_adopting(tmp_path):
    """It outlives the owner, without the owner's lock."""
    reading, writing = os.pipe()
    alive, born = os.pipe()
    owner = os.fork()
    if owner == 0:
        spool = filled(tmp_path, 5)
        if os.fork() == 0:
            os.close(writing)
            os.write(born, b"x")
            os.read(reading, 1)  # until the test ends
            os._exit(0)
        os.read(alive, 1)
        assert spool.last == 5
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(owner, 0)

    spool = adopted(tmp_path)
    for descriptor in (reading, writing, alive, born):
        os.close(descriptor)

    assert everything(spool) == rows_of(range(1, 6))


def test_a_lock_file_that_was_deleted_frees_nothing(tmp_path):
    """Who cleans up must not make two owners."""
    spool = filled(tmp_path, 5)
    for path in tmp_path.glob("*.lock"):
        path.unlink()

    assert list(orphans(tmp_path)) == []
    spool.append_row(6, row(6))
    spool.close()
    assert everything(adopted(tmp_path)) == rows_of(range(1, 7))


def test_a_torn_tail_is_cut_off(tmp_path):
    """Wherever the last write ended."""
    left_by_the_dead(tmp_path, 3)
    (path,) = segments(tmp_path)
    whole = path.read_bytes()
    record = (len(whole) - 72) // 3
    for missing in range(1, record):
        path.write_bytes(whole[:-missing])
        reports: list[str] = []

        spool = adopted(tmp_path, reports)

        assert everything(spool) == rows_of(range(1, 3))
        assert (spool.last, spool.torn_bytes) == (2, record - missing)
        assert f"{record - missing} bytes torn" in reports[0]
        assert path.stat().st_size == spool.bytes == len(whole) - record
        spool.close()


def test_batches_without_rows_are_kept(tmp_path):
    """Their numbers were given, to rows that nothing could hold."""
    spool = filled(tmp_path, 0)
    spool.append_batch(1, 3, 0, 0, b"")
    spool.close()

    spool = adopted(tmp_path)

    assert spool.read(1, 10, 100) == [Batch(1, 3, 0, 0, b"")]
    assert (spool.last, spool.drop_oldest()) == (3, 0)
    spool.close()


def test_an_adopted_spool_takes_nothing_new(tmp_path):
    """Its numbers are another's."""
    left_by_the_dead(tmp_path, 3)
    spool = adopted(tmp_path)

    with pytest.raises(SpoolFullError):
        spool.append_row(4, row(4))


def test_what_was_not_sent_is_adopted_again(tmp_path):
    """By the one after the next."""
    left_by_the_dead(tmp_path, 400, limit_bytes=64 << 10)
    spool = adopted(tmp_path)
    spool.release(200)
    spool.close()

    spool = adopted(tmp_path)

    assert 1 < spool.first <= 201
    assert everything(spool, 201) == rows_of(range(201, 401))
    assert spool.drop_oldest() > 0
    spool.close(remove=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"RLS2" + bytes(200), "version b'RLS2'"),
        (b"#!/bin/sh\n" * 20, "no head of a spool"),
        (bytes(72) + b"x", "no head of a spool"),
    ],
)
def test_what_is_not_understood_is_left_alone(tmp_path, content, reason):
    """And reported; the spool beside it is adopted."""
    left_by_the_dead(tmp_path, 3)
    strange = tmp_path / f"{'ab' * 16}.{1:020d}.spool"
    strange.write_bytes(content)
    reports: list[str] = []

    spool = adopted(tmp_path, reports)
    spool.close(remove=True)

    assert strange.read_bytes() == content
    assert [reason in report for report in reports] == [True]
    assert str(strange) in reports[0]


def test_a_version_of_the_future_is_kept_beside_ours(tmp_path):
    """Of one producer: what we know is sent."""
    left_by_the_dead(tmp_path, 3)
    (path,) = segments(tmp_path)
    later = path.with_name(path.name.replace(f"{1:020d}", f"{9:020d}"))
    later.write_bytes(b"RLS2" + bytes(300))

    spool = adopted(tmp_path)

    assert everything(spool) == rows_of(range(1, 4))
    spool.close(remove=True)
    assert segments(tmp_path) == [later]


@pytest.mark.parametrize("content", [b"", b"RLS", b"RLS1" + bytes(20), bytes(4096)])
def test_a_segment_that_was_only_begun_is_removed(tmp_path, content):
    """Its process died, or the power went, before a record was there."""
    path = tmp_path / f"{'ab' * 16}.{1:020d}.spool"
    path.write_bytes(content)

    assert list(orphans(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_strange_names_are_not_looked_at(tmp_path):
    """Links, pipes and folders neither hang nor fail it."""
    name = f"{'ab' * 16}.{1:020d}.spool"
    os.mkfifo(tmp_path / name)
    (tmp_path / name.replace("ab", "cd")).mkdir()
    (tmp_path / name.replace("ab", "ef")).symlink_to("/etc/passwd")
    (tmp_path / "notes.spool").write_text("x")
    reports: list[str] = []

    assert list(orphans(tmp_path, reports.append)) == []
    assert len(reports) == 3
    assert list(orphans(tmp_path / "none", reports.append)) == []
    assert len(reports) == 3


@pytest.mark.requires("root")
def test_another_users_records_are_not_ours_to_send(tmp_path):
    """Who may write into the folder could log in anybody's name."""
    left_by_the_dead(tmp_path, 3)
    (path,) = segments(tmp_path)
    os.chown(path, 65534, 65534)
    reports: list[str] = []

    assert list(orphans(tmp_path, reports.append)) == []
    assert "not a file of this user" in reports[0]
    assert path.exists()
