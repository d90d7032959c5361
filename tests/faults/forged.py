"""Batches under another's producer id, by somebody who has read it in an entry's id.

Nothing in the protocol proves who sends.  What a service logs must be there all the
same: it notices numbers that it never gave, and goes on under another id.  Entries
under way at that moment may be there under both ids; nothing else may be there twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from zlib import crc32

from pipeline import transport
from pipeline.wire.frame import Flag, Header, pack_header
from tests.faults.processes import Ingester, finish
from tests.faults.report import Figures
from tests.faults.site import Site

RATE = 5_000
FAR = 1 << 40
UNDER_WAY = RATE
"""Entries of one service that can't be acknowledged yet when an attack begins."""


def forged(producer: bytes, sequence: int, span: int = 1, **fields: int) -> list[bytes]:
    """A batch of garbage whose numbers are of another."""
    n = {"flags": 0, "base": sequence, "rows": min(span, 1), "crc": 0} | fields
    payload = b"garbage"
    numbers = (sequence, n["base"], span, n["rows"], 0, 0)
    head = pack_header(
        Header(n["flags"], 0, producer, *numbers), crc32(payload) ^ n["crc"]
    )
    return [head, payload]


def far_ahead(producer: bytes, durable: int) -> list[bytes]:
    """Numbers that will not be reached for years."""
    return forged(producer, durable + FAR, 1000)


def the_end(producer: bytes, durable: int) -> list[bytes]:
    """It is said to have finished."""
    return forged(producer, durable + FAR, flags=Flag.FIN)


def a_little_ahead(producer: bytes, durable: int) -> list[bytes]:
    """Numbers that are just under way."""
    return forged(producer, durable + RATE // 3)


def replayed(producer: bytes, durable: int) -> list[bytes]:
    """All that it has ever sent."""
    return forged(producer, 1, durable, base=1)


def a_gap(producer: bytes, durable: int) -> list[bytes]:
    """What can't be next, so that it is told to go back."""
    return forged(producer, durable + FAR, base=1)


def a_wrong_crc(producer: bytes, durable: int) -> list[bytes]:
    """As if one of its batches had been damaged."""
    return forged(producer, durable + 1, crc=1)


ATTACKS: tuple[Callable[[bytes, int], list[bytes]], ...] = (
    far_ahead,
    replayed,
    a_little_ahead,
    a_gap,
    the_end,
    a_wrong_crc,
)


def _sessions(database: Path) -> list[tuple[bytes, int]]:
    """Producer ids and their durable numbers."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        query = "SELECT id, durable FROM producers WHERE kind = 'session'"
        return connection.execute(query).fetchall()


def forged_headers(folder: Path, *, long: bool) -> Figures:
    """Every kind against every producer that there is, while all of them log."""
    turns = 10 if long else 1
    site = Site(Ingester(folder), "--rate", str(RATE))
    push = transport.push(site.ingester.ingest)
    sent = 0
    try:
        with site.running():
            for attack in ATTACKS * turns:
                site.wait_for_entries(site.progress + RATE // 4)
                for producer, durable in _sessions(site.ingester.database):
                    push.send_multipart(attack(producer, durable))
                    sent += 1
            site.wait_for_entries(site.progress + RATE)
            finish(site.producers)
            site.note_memory()
            assert site.ingester.stop() == 0
    finally:
        push.close(0)
    noticed = sum(producer.report["forged"] for producer in site.producers)
    assert noticed, "no service has noticed anything"
    verdict = site.verdict()
    assert verdict.doubled <= noticed * UNDER_WAY, verdict
    return verdict._replace(doubled=0).figures(
        "forged headers",
        sent,
        peak_mb=site.peak_bytes / 2**20,
        note=f"noticed {noticed} times; {verdict.doubled:,} rows under two ids",
    )


FAULTS = {"forged-headers": forged_headers}
"""By name."""
