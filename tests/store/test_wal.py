"""Which ends of a WAL are natural, and which are damage."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.store.schema import PAGE_BYTES
from pipeline.store.wal import Wal, scan

HEAD = 32
FRAME = 24 + PAGE_BYTES


def made(path: Path, commits: int) -> bytes:
    """A WAL of transactions of several frames each."""
    rng = random.Random(1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x)")
        for _ in range(commits):
            connection.execute("INSERT INTO t VALUES (?)", (rng.randbytes(60_000),))
        return Path(f"{path}-wal").read_bytes()


@pytest.fixture(scope="module")
def wal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of six transactions."""
    return made(tmp_path_factory.mktemp("wal") / "a.db", 5)


def scanned(data: bytes, *, synced: bool = True) -> Wal:
    """What is believed of these bytes."""
    return scan(lambda at, size: data[at : at + size], len(data), synced=synced)


def commits(wal: Wal) -> list[int]:
    """Places behind the frames that end a transaction."""
    return [place for place, frame in enumerate(wal.frames, 1) if frame.size]


def without(data: bytes, frame: int) -> bytes:
    """As if a frame's page had never been written."""
    at = HEAD + frame * FRAME + 24
    return data[:at] + bytes(PAGE_BYTES) + data[at + PAGE_BYTES :]


def test_a_whole_wal_has_no_flaw(wal: bytes) -> None:
    """All of its frames are believed."""
    found = scanned(wal)

    assert found.flaws == []
    assert len(found.frames) == (len(wal) - HEAD) // FRAME
    assert all(frame.is_sound for frame in found.frames)


def test_each_flipped_bit_is_noticed_and_no_commit_is_dropped(wal: bytes) -> None:
    """In header, frames' heads and pages; what is put right is right."""
    whole = scanned(wal)
    for seed in range(200):
        rng = random.Random(seed)
        # of the heads as many as of the pages, though they are small
        at = rng.choice([rng.randrange(HEAD), HEAD + rng.randrange(24) + FRAME * 3])
        at = at if seed % 2 else rng.randrange(len(wal))
        flipped = bytearray(wal)
        flipped[at] ^= 1 << rng.randrange(8)
        found = scanned(bytes(flipped))

        assert found.flaws, at
        assert len(found.frames) == len(whole.frames), at
        for frame, true in zip(found.frames, whole.frames, strict=True):
            page = bytes(flipped[frame.offset : frame.offset + PAGE_BYTES])
            if frame.is_sound:
                assert frame.page == true.page
                good = wal[true.offset : true.offset + PAGE_BYTES]
                assert frame.mend(page) == good, at


@pytest.mark.parametrize("bytes_lost", [1, 100, FRAME, FRAME + 1, 3 * FRAME])
def test_an_end_that_was_not_written_is_natural(wal: bytes, bytes_lost: int) -> None:
    """A kill in the middle of a transaction; those before it hold."""
    whole, found = scanned(wal), scanned(wal[:-bytes_lost])

    assert found.flaws == []
    assert commits(found) == commits(whole)[:-1]


def test_a_hole_in_the_last_transaction_is_natural(wal: bytes) -> None:
    """The power went before it was synced, and frames reach a disk in any order."""
    whole = scanned(wal)
    found = scanned(without(wal, len(whole.frames) - 2))

    assert found.flaws == []
    assert commits(found) == commits(whole)[:-1]


def test_a_hole_before_another_transaction_is_damage(wal: bytes) -> None:
    """It had been synced; only without sync may it be missing."""
    whole = scanned(wal)
    holed = without(wal, commits(whole)[2] + 1)

    found = scanned(holed)
    assert found.flaws
    assert commits(found) == commits(whole)
    assert [frame.is_sound for frame in found.frames].count(False) == 1

    assert scanned(holed, synced=False).flaws == []


def test_frames_of_an_older_round_are_passed_over(tmp_path: Path, wal: bytes) -> None:
    """A WAL starts anew at its beginning, with other salts."""
    other = made(tmp_path / "b.db", 1)

    found = scanned(other + wal[len(other) :])

    assert found.flaws == []
    assert len(found.frames) == len(scanned(other).frames)


@pytest.mark.parametrize("data", [b"", b"x", bytes(HEAD), bytes(HEAD + 2 * FRAME)])
def test_a_wal_that_was_only_made_is_empty(data: bytes) -> None:
    """What the power cut leaves of a file that was never written."""
    assert scanned(data) == Wal()
