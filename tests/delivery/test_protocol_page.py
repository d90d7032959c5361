"""PROTOCOL.md's numbers and tables are the code's."""

from pathlib import Path

import pytest

import pipeline
from pipeline.collectors import sender
from pipeline.delivery import stream, window
from pipeline.delivery.stream import Stream, Verdict
from pipeline.ingester import ingester
from pipeline.ingester.batcher import Policy
from pipeline.limits import BATCH_ROWS
from pipeline.settings.model import Ingest, Storage
from tests.wire.messages import NOW, PRODUCER, header

TEXT = (Path(pipeline.__file__).parent / "delivery" / "PROTOCOL.md").read_text()
WORDS = " ".join(TEXT.split())

MS = 1_000_000
MIB = 1 << 20
POLICY = Policy()


@pytest.mark.parametrize(
    "words",
    [
        f"count <= {BATCH_ROWS:,}",
        f"at most one per {stream.NACK_INTERVAL // MS} ms",
        f"{POLICY.rows:,} rows or {POLICY.bytes // MIB} MiB of columns",
        f"{Ingest().commit_interval_ms} ms after the first of them",
        f"{POLICY.age // MS} ms after the first of them",
        f"{POLICY.flush_age // MS} ms after a FLUSH",
        f"not within {POLICY.interval // MS} ms of the commit before",
        f"retry_ms {ingester.RETRY_MS}",
        f"{stream.FINISHED_AGE // (3600 * 1000 * MS)} hour after FIN",
        f"idle for {stream.IDLE_AGE // (24 * 3600 * 1000 * MS)} days",
        f"at {stream.PRODUCERS_MAX:,} producers",
        f"{window.WINDOW_ROWS:,} rows and {window.WINDOW_BYTES // MIB} MiB in flight",
        f"{sender.HELLO_SECONDS * 1000:.0f} ms from the connection",
        f"{window.TIMEOUT_FIRST // (1000 * MS)} s doubling "
        f"to {window.TIMEOUT_LAST // (1000 * MS)} s",
        f"`storage.durability` {Storage().durability}",
    ],
)
def test_numbers_of_the_page_are_those_of_the_code(words: str) -> None:
    """Whoever changes one changes both."""
    assert words in WORDS


def test_each_verdict_has_its_line() -> None:
    """The table is `Stream.judge`; IGNORE is the NACK that is not repeated."""
    for verdict in (Verdict.DUPLICATE, Verdict.TAKE, Verdict.NACK):
        assert f"| {verdict.name} |" in TEXT
    known = Stream(PRODUCER, 10, 10)
    gap = header(sequence=15)
    assert [known.judge(gap, NOW), known.judge(gap, NOW)] == [
        Verdict.NACK,
        Verdict.IGNORE,
    ]
