"""What batches hold while they wait, and what sealing them takes."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from bench.corpus import mixed_batches
from pipeline.batch.decode import Batch
from pipeline.batch.encode import encode_rows
from pipeline.batch.seal import seal
from pipeline.compression import compress
from pipeline.wire.codec import decode_batch
from pipeline.wire.frame import Header

ROWS = 100
BATCHES = 50


@pytest.fixture(scope="module")
def payloads() -> list[bytes]:
    """Small batches of many services each: as costly as they come."""
    source = mixed_batches(ROWS * BATCHES, size=ROWS)
    return [encode_rows(rows, compress=compress) for rows in source]


@pytest.fixture
def traced() -> Iterator[None]:
    """Memory is counted from here on."""
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


def taken(payloads: list[bytes]) -> list[Batch]:
    """As the ingester takes them in."""
    headers = Header(0, 0, bytes(16), 1, 1, ROWS, ROWS, 0, 0)
    batches = [decode_batch(headers, payload, 0).batch for payload in payloads]
    return [batch for batch in batches if batch is not None]


@pytest.mark.usefixtures("traced")
def test_a_batch_holds_no_more_than_it_says(payloads: list[bytes]) -> None:
    """Beside its payload: a commit ends by what its batches say."""
    batches = taken(payloads)
    said = sum(batch.held_bytes - len(batch.payload) for batch in batches)

    assert tracemalloc.get_traced_memory()[0] < 1.2 * said


@pytest.mark.usefixtures("traced")
def test_sealing_takes_one_column_at_a_time(payloads: list[bytes]) -> None:
    """And leaves the block alone; 10 and 13 times it when nothing was forgotten."""
    batches = taken(payloads)
    before, _ = tracemalloc.get_traced_memory()
    block = seal(batches, 1)
    after, peak = tracemalloc.get_traced_memory()

    assert after - before < 1.3 * len(block)
    assert peak - before < 7 * len(block)
