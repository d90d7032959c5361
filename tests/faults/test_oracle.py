"""The oracle: whoever decides what is lost must notice each way of losing."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.entry import Entry
from tests.faults.oracle import Claim, Oracle, check
from tests.store.build import build_store

OTHER = bytes(16)


def rows(*numbers, source="p0"):
    """Entries with these numbers."""
    return [Entry(1, source, 9, "m", {"n": n}, [], None) for n in numbers]


def judged(folder, *blocks, tried=6, accepted=6, producer=OTHER):
    """The verdict on a store with these blocks, of one source; without the examples."""
    build_store(folder / "logs.db", blocks, producer)
    return check(folder / "logs.db", [Claim("p0", tried, accepted)])[:5]


def test_all_there_once_in_order(tmp_path):
    """Nothing to say."""
    assert judged(tmp_path, rows(1, 2, 3), rows(4, 5, 6)) == (6, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1, 2, 4, 5, 6), (5, 1, 0, 0, 0)),
        ((1, 2, 3, 3, 4, 5, 6), (7, 0, 1, 1, 0)),
        ((1, 3, 2, 4, 5, 6), (6, 0, 0, 1, 0)),
        ((1, 2, 3, 4, 5, 6, 7), (7, 0, 0, 0, 1)),
        ((0, 1, 2, 3, 4, 5, 6), (7, 0, 0, 1, 1)),
    ],
    ids=["lost", "doubled", "disordered", "never tried", "no number"],
)
def test_each_kind_is_counted(tmp_path, numbers, expected):
    """Within a block; (entries, lost, doubled, disordered, unknown)."""
    assert judged(tmp_path, rows(*numbers)) == expected


def test_what_one_block_repeats_of_another_is_doubled(tmp_path):
    """And out of order, since it comes after later ones."""
    assert judged(tmp_path, rows(1, 2, 3), rows(3, 4, 5, 6)) == (7, 0, 1, 1, 0)


def test_another_session_may_come_late_but_not_twice(tmp_path):
    """Order is asked within a producer id, uniqueness among all."""
    path = tmp_path / "logs.db"
    build_store(path, [rows(4, 5, 6)])
    build_store(path, [rows(1, 2, 3, 4)], OTHER)

    assert check(path, [Claim("p0", 6, 6)])[:5] == (7, 0, 1, 0, 0)


def test_what_was_tried_may_be_there_or_not(tmp_path):
    """The call had not returned when the process was killed."""
    assert judged(tmp_path, rows(1, 2, 3, 4), accepted=3) == (4, 0, 0, 0, 0)
    assert judged(tmp_path / "b", rows(1, 2, 3), accepted=3) == (3, 0, 0, 0, 0)


def test_a_call_that_never_returned_promised_nothing(tmp_path):
    """Neither in the life that it ended nor in the next one."""
    oracle = Oracle(tmp_path / "p0")
    for tried, accepted in ((3, 2), (5, 5), (9, 6)):
        oracle.resume()
        oracle.cells[0], oracle.cells[1] = tried, accepted
    build_store(tmp_path / "logs.db", [rows(1, 2, 5, 7)])

    assert oracle.uncertain == [(3, 3)]
    assert check(tmp_path / "logs.db", [oracle])[:2] == (4, 2), "4 and 6 are lost"
    oracle.close()


def test_others_are_unknown(tmp_path):
    """Another source, a text as number, and no number at all."""
    others = [
        *rows(1, source="p9"),
        Entry(1, "p0", 9, "m", {"n": "x"}, [], None),
        Entry(1, "p0", 9, "m", {}, [], None),
    ]
    build_store(tmp_path / "logs.db", [rows(1), others])

    assert check(tmp_path / "logs.db", [Claim("p0", 1, 1)]).unknown == 3


def test_strangers_are_told_apart(tmp_path):
    """What an honest producer has under another name is none of theirs."""
    path = tmp_path / "logs.db"
    build_store(path, [rows(1), rows(2, source="x")])
    build_store(path, [rows(7, 8, source="y")], OTHER)

    found = check(path, [Claim("p0", 1, 1)])
    assert (found.unknown, found.strangers) == (3, 2)


def test_it_names_what_is_lost(tmp_path):
    """For whoever has to find out why."""
    build_store(tmp_path / "logs.db", [rows(1, 4)])

    found = check(tmp_path / "logs.db", [Claim("p0", 6, 6)])
    assert found.examples == "p0 misses 2-3, 5-6"


def test_a_killed_process_leaves_its_counters(tmp_path):
    """Written to mapped memory: kill -9 can't take them back."""
    program = (
        "import os, signal, sys; from pathlib import Path;"
        "from tests.faults.oracle import Oracle; oracle = Oracle(Path(sys.argv[1]));"
        "oracle.cells[0] = 7; oracle.cells[1] = 6; os.kill(os.getpid(), signal.SIGKILL)"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "p0")]
    root = Path(__file__).parents[2]
    ended = subprocess.run(words, cwd=root, check=False)
    oracle = Oracle(tmp_path / "p0")

    assert ended.returncode == -signal.SIGKILL
    assert (oracle.source, oracle.tried, oracle.accepted) == ("p0", 7, 6)
    oracle.close()
