"""A session that ends is finished in the ledger, whatever it had left to send."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import Collector
from pipeline.store.producers import Account, Question, read_ledger
from tests.running import RunningIngester


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[RunningIngester]:
    """One with a ledger of its own."""
    running = RunningIngester(tmp_path)
    running.start()
    yield running
    running.stop()


def finished(ingester: RunningIngester) -> Account:
    """The only account, once it is finished."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        (account,) = read_ledger(ingester.database, Question(10)).producers
        if account.finished:
            return account
        time.sleep(0.02)
    raise AssertionError(f"not finished within 20 s: {account}")


@pytest.mark.parametrize("flushes", [True, False])
@pytest.mark.parametrize("spool", ["off", "always"])
def test_who_closes_has_finished(
    ingester: RunningIngester, tmp_path: Path, flushes: bool, spool: str
) -> None:
    """With nothing left FIN goes by itself, and counts as nothing."""
    endpoints = {
        "endpoint": ingester.ingest,
        "acknowledge_endpoint": ingester.publish,
    }
    folder = str(tmp_path / "spool")
    with Collector(source="job", **endpoints, spool=spool, spool_dir=folder) as log:
        for number in range(3):
            log.log("INFO", str(number))
        if flushes:
            log.flush()

    account = finished(ingester)

    assert (account.produced, account.stored) == (3, 3)
    assert (account.rejected, account.lost, account.duplicates) == (0, 0, 0)
