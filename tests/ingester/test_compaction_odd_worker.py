"""A compaction worker that talks rubbish, loses rows or hangs: the ingester goes on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from pipeline import clock, transport
from pipeline.errors import StoreError
from pipeline.ingester.committer import Committer
from pipeline.ingester.compaction import host
from pipeline.ingester.compaction.host import Compaction
from pipeline.ingester.compaction.said import check
from pipeline.settings.load import load
from pipeline.store.compacted import Compacted, compact
from pipeline.store.reader import Reader
from pipeline.store.writer import Writer
from tests.query.stores import append
from tests.query.test_remembered import entry

ROWS = 100
SWAP = {"kind": "swap", "blocks": 2, "rows": 200, "before": 1, "after": 1}
SAYING = """#!{python}
import os, struct, sys
said = open({said!r}, "rb").read()
os.write(1, struct.pack("<I", len(said)) + said)
while os.read(0, 4096):
    pass
"""
DEAF = """#!{python}
import signal
signal.pause()
"""
WRONG: list[Any] = [
    7,
    {"a": 1},
    {"kind": ["swap"]},
    {"kind": "other"},
    {"kind": "swap"},
    {**SWAP, "block": 7},
    {"kind": "swap", "block": b"", "blocks": 1},
    {"kind": "said", "text": "no", "failed": "yes", "more": {}},
    {"kind": "state", "backlog_rows": "many"},
    {"kind": "done"},
    {"kind": "done", "request": [1], "result": {}},
    {"kind": "done", "request": 1, "result": 7},
]


class Hosted:
    """Three fresh blocks, and the ingester's side of compaction over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "logs.db"
        rows = [list(map(entry, range(n, n + ROWS))) for n in (0, ROWS, 2 * ROWS)]
        append(self.database, [[(0, some)] for some in rows])
        self.replies: list[dict[str, Any]] = []

    def worker(self, text: str, said: bytes = b"") -> str:
        """A program to be started in the worker's place."""
        program, file = self.folder / "worker", self.folder / "said"
        file.write_bytes(said)
        program.write_text(text.format(python=sys.executable, said=str(file)))
        program.chmod(0o755)
        return str(program)

    def merged(self, *, keep: bool) -> bytes:
        """The first two blocks as one; or without some of their rows."""
        with closing(Reader(self.database)) as reader:
            reader.refresh()
            blocks = [reader.load(header) for header in reader.headers[:2]]
            mask = None if keep else np.arange(ROWS) % 2 == 0
            return compact(blocks, 3, [mask, None]).pack()

    def run(self, until: Callable[[Compaction], bool]) -> None:
        """Serve one request that waits until something is so."""
        settings = load(None, {"PIPELINE_STORAGE__DB_PATH": str(self.database)})
        poller = transport.Poller()
        with closing(Writer(self.database, "process")) as writer:
            committer = Committer(writer)
            poller.watch(committer.wake)
            compaction = Compaction(settings, writer, committer, poller, print)
            compaction.ask({"kind": "compact", "level": 3}, self.replies.append)
            end = clock.monotonic() + 20
            while not until(compaction):
                assert clock.monotonic() < end, compaction.status()
                poller.wait(0.01)
                compaction.step(clock.monotonic())
            compaction.close()
            committer.close()

    def rows(self) -> list[int]:
        """Of the blocks there are."""
        with closing(Reader(self.database)) as reader:
            reader.refresh()
            return [header.rows for header in reader.headers]


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[Hosted]:
    """No worker of another test is started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "BACK_OFF_SECONDS", 0.01)
        yield Hosted(tmp_path)


@pytest.mark.parametrize("said", [WRONG[0], WRONG[1], WRONG[-1]], ids=repr)
def test_rubbish_ends_the_worker_alone(
    hosted: Hosted, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits is told after some tries, and nothing has changed."""
    program = hosted.worker(SAYING, msgpack.packb(said))
    monkeypatch.setattr(sys, "executable", program)

    hosted.run(lambda compaction: bool(hosted.replies))

    assert hosted.replies[0]["error"] == "the compaction worker dies of it"
    assert hosted.rows() == [ROWS] * 3


def test_a_block_that_is_none_is_not_swapped_in(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker hears of it."""
    program = hosted.worker(SAYING, msgpack.packb({**SWAP, "block": b"rubbish"}))
    monkeypatch.setattr(sys, "executable", program)

    hosted.run(lambda compaction: "swap_failures" in compaction.status())

    assert hosted.rows() == [ROWS] * 3


@pytest.mark.parametrize("keep", [True, False])
def test_a_merge_must_have_all_rows(
    hosted: Hosted, keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is deleted may be missing, as many as were told."""
    block = hosted.merged(keep=keep)
    program = hosted.worker(SAYING, msgpack.packb({**SWAP, "block": block}))
    monkeypatch.setattr(sys, "executable", program)

    seen = "swaps" if keep else "swap_failures"
    hosted.run(lambda compaction: seen in compaction.status())

    assert hosted.rows() == ([2 * ROWS, ROWS] if keep else [ROWS] * 3)


def test_a_worker_that_hangs_is_replaced(
    hosted: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that does not hear that it should end."""
    monkeypatch.setattr(host, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(sys, "executable", hosted.worker(DEAF))

    hosted.run(lambda compaction: bool(hosted.replies))

    assert hosted.replies[0]["error"] == "the compaction worker dies of it"


@pytest.mark.parametrize("said", WRONG[1:], ids=repr)
def test_what_no_worker_says_is_refused(said: dict[str, Any]) -> None:
    """By its kind, and by what belongs to it."""
    with pytest.raises(ValueError, match=r"a (message|state)"):
        check(said)


def test_what_is_packed_is_checked_again(hosted: Hosted) -> None:
    """Each of its values, which go into the database."""
    values = msgpack.unpackb(hosted.merged(keep=True))
    for place in range(len(values)):
        for wrong in (None, "text", 1 << 63, [None], [1, b"", 2]):
            changed = [*values[:place], wrong, *values[place + 1 :]]
            with pytest.raises(StoreError, match="no block"):
                Compacted.unpack(msgpack.packb(changed))
