"""Senders and databases of other versions: refused by name, or ignored.

Each case is one row of FORMAT.md section 6, by hand, beside services that go on.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from zlib import crc32

from pipeline.batch.encode import encode_rows
from pipeline.store.schema import APPLICATION, PAGE_BYTES, STEPS, VERSION
from pipeline.wire.frame import (
    Flag,
    Header,
    file_tail,
    pack_header,
    parse_acknowledgement,
)
from tests.faults.processes import Ingester, finish, started, wait_for
from tests.faults.report import Figures
from tests.faults.site import Site
from tests.ingester.process import Sender
from tests.wire.messages import entry

RATE = 2_000
ROWS = 2
OLD_MARK = 41


class Guest:
    """One sender of another version, with an id of its own."""

    def __init__(self, ingester: Ingester) -> None:
        self.producer = os.urandom(16)
        self.sender = Sender(ingester, self.producer)
        assert self.sender.reply().durable == 0

    def batch(self, sequence: int, payload: bytes, **fields: int) -> list[bytes]:
        """A batch that is right but for the fields."""
        n = {"flags": 0, "codec": 0, "span": ROWS, "rows": ROWS, "last": 0} | fields
        numbers = (sequence, sequence, n["span"], n["rows"], 0, n["last"])
        head = Header(n["flags"], n["codec"], self.producer, *numbers)
        return [pack_header(head, crc32(payload)), payload]


def payload() -> bytes:
    """Rows of a stranger."""
    return encode_rows([entry(f"m{n}", source="guest") for n in range(ROWS)])


def header_of_version_2(guest: Guest) -> str:
    """Nothing of it is known, so nobody can be answered."""
    head, body = guest.batch(1, payload())
    guest.sender.send(b"RLP2" + head[4:], body)
    return "bad_version"


def payload_of_version_9(guest: Guest) -> str:
    """Its rows are rejected, its numbers taken: the next batch follows."""
    guest.sender.send(*guest.batch(1, b"\x09" + payload()[1:]))
    reply = guest.sender.wait_for(ROWS)
    assert (reply.accepted, reply.rejected) == (ROWS, ROWS)
    guest.sender.send(*guest.batch(1 + ROWS, payload()))
    assert guest.sender.wait_for(2 * ROWS).rejected == ROWS
    return "bad_version"


def unknown_kind_of_column(guest: Guest) -> str:
    """As a payload of another version."""
    body = bytearray(payload())
    body[8] = 200  # the first column's kind
    guest.sender.send(*guest.batch(1, bytes(body)))
    assert guest.sender.wait_for(ROWS).rejected == ROWS
    return "bad_batch"


def unknown_codec(guest: Guest) -> str:
    """Refused before its numbers count: what it holds can't be told."""
    guest.sender.send(*guest.batch(1, payload(), codec=0x40))
    return "bad_codec"


def unknown_flags(guest: Guest) -> str:
    """Ignored."""
    guest.sender.send(*guest.batch(1, payload(), flags=0xF8))
    assert guest.sender.wait_for(ROWS).rejected == 0
    return ""


def reserved_bytes(guest: Guest) -> str:
    """Ignored; the CRC covers them."""
    head, body = guest.batch(1, payload())
    changed = bytearray(head)
    changed[6:8] = b"\xff\xff"
    changed[52:56] = bytes(4)
    changed[52:56] = crc32(changed, crc32(body)).to_bytes(4, "little")
    guest.sender.send(bytes(changed), body)
    assert guest.sender.wait_for(ROWS).rejected == 0
    return ""


def acknowledgements_of_both_versions(guest: Guest) -> str:
    """The tail comes with those of a file; other senders get what they always got."""
    guest.sender.send(*guest.batch(1, payload()))
    assert _size_at(guest.sender, ROWS) == 52
    tail = file_tail(b"line\n")
    flags = Flag.FILE | Flag.FLUSH
    guest.sender.send(*guest.batch(1 + ROWS, payload(), flags=flags, last=tail))
    assert _size_at(guest.sender, 2 * ROWS) == 60
    return ""


def _size_at(sender: Sender, durable: int) -> int:
    """Bytes of the first acknowledgement that says so; others may be repeated."""
    while True:
        assert sender.replies.poll(10_000)
        body = sender.replies.recv_multipart()[1]
        if parse_acknowledgement(body).durable >= durable:
            return len(body)


CASES: tuple[Callable[[Guest], str], ...] = (
    header_of_version_2,
    payload_of_version_9,
    unknown_kind_of_column,
    unknown_codec,
    unknown_flags,
    reserved_bytes,
    acknowledgements_of_both_versions,
)
"""Each gives the reason of the dead letter that it must leave, or nothing."""


def version_skew(folder: Path, *, long: bool) -> Figures:
    """All cases, again and again, beside services of this version."""
    runs = 0
    site = Site(Ingester(folder), "--rate", str(RATE))
    with site.running():
        for _ in range(20 if long else 1):
            for case in CASES:
                with _guest(site.ingester) as guest:
                    reason = case(guest)
                    if reason:
                        check = _Letter(site.ingester.database, reason, guest.producer)
                        wait_for(f"{case.__name__}: {reason}", check)
                runs += 1
        finish(site.producers)
        site.note_memory()
        assert site.ingester.stop() == 0
    verdict = site.verdict()
    return verdict._replace(unknown=verdict.unknown - verdict.strangers).figures(
        "version skew",
        runs,
        peak_mb=site.peak_bytes / 2**20,
        note=f"{verdict.strangers} rows of guests stored",
    )


@contextmanager
def _guest(ingester: Ingester) -> Iterator[Guest]:
    guest = Guest(ingester)
    try:
        yield guest
    finally:
        guest.sender.close()


class _Letter:
    """Whether a dead letter of a reason has come, from the producer or nobody."""

    def __init__(self, database: Path, reason: str, producer: bytes) -> None:
        self._database = database
        self._values = (reason, producer)

    def __call__(self) -> bool:
        query = (
            "SELECT count(*) FROM dead_letters WHERE reason = ?"
            " AND (producer = ? OR producer IS NULL)"
        )
        uri = f"file:{self._database}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return bool(connection.execute(query, self._values).fetchone()[0])


def database_of_the_future(folder: Path) -> str:
    """Make one; what an ingester says of it before it ends."""
    ingester = Ingester(folder)
    with started(ingester):
        assert ingester.stop() == 0
    with closing(sqlite3.connect(ingester.database)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        connection.execute(f"PRAGMA application_id = {APPLICATION + VERSION + 1}")
        connection.commit()
    before = ingester.database.read_bytes()
    ingester.begin()
    try:
        assert ingester.running.wait(30) != 0
    finally:
        ingester.end()
    assert ingester.database.read_bytes() == before, "it was written to"
    return ingester.text


def database_of_the_past(folder: Path) -> int:
    """Make one of the first version with a mark; what a sender of its id hears."""
    ingester = Ingester(folder)
    with closing(sqlite3.connect(ingester.database)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in STEPS[0]:
            connection.execute(statement)
        mark = (b"o" * 16, "session", OLD_MARK, OLD_MARK, 0, 0, 0, 0, 0, 0)
        connection.execute(f"INSERT INTO producers VALUES ({'?, ' * 9}?)", mark)
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    with started(ingester):
        sender = Sender(ingester, b"o" * 16)
        durable = sender.reply().durable
        sender.close()
        assert ingester.stop() == 0
    return durable


FAULTS = {"version-skew": version_skew}
"""By name."""
