"""An exception of a signal's handler may end an append anywhere."""

from __future__ import annotations

from pathlib import Path

from pipeline.batch.encode import Row
from pipeline.delivery.spool import Rows, Spool
from tests.interrupting import TimeLimitError, interrupted

ROW: Row = (1, "web", 9, "x" * 50, None, None, None)


def test_an_append_that_is_cut_short_is_there_or_not(tmp_path: Path) -> None:
    """Its number says which; those that returned are there, and appends go on."""
    spool = Spool(tmp_path, b"p" * 16, limit_bytes=1 << 30)
    spool.append_row(1, ROW)
    limits, done = 0, {1}
    with interrupted():
        while limits < 1000:
            try:
                number = spool.appended + 1
                spool.append_row(number, ROW)
                done.add(number)
            except TimeLimitError:
                limits += 1

    found: list[int] = []
    while records := spool.read(found[-1] + 1 if found else 1, 10_000, 1 << 20):
        for record in records:
            assert isinstance(record, Rows)
            found += range(record.number, record.number + len(record.rows))
    size = spool._segments[-1].path.stat().st_size
    assert found == list(range(1, spool.appended + 1))
    assert set(found) >= done
    assert spool.damaged == 0
    assert size == spool._segments[-1].size
    spool.close(remove=True)
