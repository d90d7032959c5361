"""An exception of a signal's handler may end an append anywhere."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pipeline.batch.encode import Row
from pipeline.delivery.spool import Rows, Spool
from tests.interrupting import TimeLimitError, at_point, interrupted

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


def test_a_close_that_is_cut_short_may_be_said_again(tmp_path: Path) -> None:
    """No descriptor is closed twice: it may be another file's by then."""
    for point in range(1, 4):
        spool = Spool(tmp_path / str(point), b"p" * 16, limit_bytes=1 << 20)
        spool.append_row(1, ROW)
        with suppress(TimeLimitError), at_point(point, _end):
            spool._segments[0].close()
        assert spool.close(remove=True)


def _end() -> None:
    raise TimeLimitError
