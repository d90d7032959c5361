"""The producers' table as a ledger: what became of each entry that was produced.

Statements and arithmetic; whoever asks has the connection, for the gateway's is not the
command line's.  For each producer produced = stored + rejected + lost + dropped, where
the left side comes from its numbers and the right side was counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

import msgpack

from pipeline.errors import StoreError
from pipeline.store.database import DatabaseError, open_reader
from pipeline.store.schema import VERSION
from pipeline.timestamp import format_timestamp

KINDS: Final = ("session", "file", "plain")

VERSION_QUERY: Final = "PRAGMA user_version"

PAGE_QUERY: Final = (
    "SELECT id, kind, source, durable, stored, rejected, lost, dropped, duplicates,"
    " reasons, began, seen, finished FROM producers"
    " WHERE (:producer IS NULL OR id = :producer) AND (:kind IS NULL OR kind = :kind)"
    " AND (:seen IS NULL OR (seen, id) < (:seen, :id))"
    " ORDER BY seen DESC, id DESC LIMIT :rows"
)

_HALF: Final = 31
"""Bits: SQLite's integers have 64, and the sum of two hostile columns does not fit."""

TOTALS_QUERY: Final = (
    "SELECT kind, count(*), sum(CASE kind"
    " WHEN 'session' THEN durable - stored - lost != rejected"
    " WHEN 'plain' THEN durable - stored != lost ELSE 0 END),"
    " sum(durable >> 31), sum(durable & 2147483647),"
    " sum(stored >> 31), sum(stored & 2147483647),"
    " sum(rejected >> 31), sum(rejected & 2147483647),"
    " sum(lost >> 31), sum(lost & 2147483647),"
    " sum(dropped >> 31), sum(dropped & 2147483647),"
    " sum(duplicates >> 31), sum(duplicates & 2147483647)"
    " FROM producers"
    " WHERE (:producer IS NULL OR id = :producer) AND (:kind IS NULL OR kind = :kind)"
    " GROUP BY kind"
)

FORGOTTEN_QUERY: Final = "SELECT value FROM meta WHERE key = 'forgotten'"

_CURSOR: Final = re.compile(r"(-?\d{1,19})\.([0-9a-f]{2,64})")


@dataclass(frozen=True, slots=True)
class Account:
    """One producer; numbers are entries but for `position` and `lost_bytes`."""

    producer: str
    kind: str
    source: str
    produced: int
    stored: int
    rejected: int
    lost: int
    dropped: int
    duplicates: int
    durable: int | None
    """Its highest number on disk; of a file see `position`."""

    position: int | None
    lost_bytes: int | None
    reasons: dict[str, int]
    first_seen: str | None
    last_seen: str | None
    finished: bool
    balanced: bool | None
    """Of a file nothing tells how many entries it should be."""


@dataclass(slots=True)
class Totals:
    """All producers of one kind, those that are forgotten included."""

    producers: int = 0
    produced: int = 0
    stored: int = 0
    rejected: int = 0
    lost: int = 0
    dropped: int = 0
    duplicates: int = 0
    position: int = 0
    lost_bytes: int = 0
    unbalanced: int = 0
    forgotten: int = 0
    """Producers in these sums that have no account any more."""

    def __add__(self, other: Totals) -> Totals:
        pairs = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return Totals(*(mine + theirs for mine, theirs in pairs))


class Question(NamedTuple):
    """Which producers, and how many of them."""

    limit: int
    producer: bytes | None = None
    kind: str | None = None
    after: tuple[int, bytes] | None = None
    """(seen, id) of the last one of the page before."""


@dataclass(slots=True)
class Ledger:
    """A page of accounts, the one heard last first, and the totals of all."""

    producers: list[Account]
    totals: dict[str, Totals]
    next_cursor: str | None = None
    truncated: bool = field(init=False)
    balanced: bool = field(init=False)

    def __post_init__(self) -> None:
        self.truncated = self.next_cursor is not None
        self.balanced = not any(each.unbalanced for each in self.totals.values())


def read_ledger(path: Path, question: Question) -> Ledger:
    """The ledger, while the pipeline runs or not; raises StoreError."""
    try:
        with closing(open_reader(path)) as connection:
            (version,) = connection.execute(VERSION_QUERY).fetchone()
            check_version(path, version)
            values = values_of(question)
            rows = connection.execute(PAGE_QUERY, values).fetchall()
            totals = connection.execute(TOTALS_QUERY, values).fetchall()
            forgotten = connection.execute(FORGOTTEN_QUERY).fetchall()
    except DatabaseError as error:
        raise StoreError(f"{path} can't be read: {error}") from None
    return ledger_of(rows, totals_of(totals, question, forgotten), question.limit)


def check_version(path: Path, version: int) -> None:
    """Raise StoreError unless the tables have the columns that are read here."""
    if version < VERSION:
        detail = f"tables of version {version}; known are those of {VERSION}"
        raise StoreError(f"{path} has {detail}: start its ingester, which adapts them")


def values_of(question: Question) -> dict[str, object]:
    """What both statements are asked with."""
    seen, identity = question.after or (None, None)
    return {
        "producer": question.producer,
        "kind": question.kind,
        "seen": seen,
        "id": identity,
        "rows": question.limit + 1,  # one more tells whether there is another page
    }


def ledger_of(
    rows: Sequence[Sequence[Any]], totals: dict[str, Totals], limit: int
) -> Ledger:
    """The ledger from the rows of a page, and the totals."""
    page = rows[:limit]
    more = f"{page[-1][11]}.{page[-1][0].hex()}" if len(rows) > limit else None
    return Ledger([_account(row) for row in page], totals, more)


def totals_of(
    rows: Iterable[Sequence[Any]],
    question: Question,
    forgotten: Iterable[Sequence[Any]],
) -> dict[str, Totals]:
    """Totals by kind, from the rows of their statements."""
    found = {kind: Totals() for kind in KINDS}
    for kind, producers, unbalanced, *halves in rows:
        pairs = zip(halves[::2], halves[1::2], strict=True)
        sums = [(high << _HALF) + low for high, low in pairs]
        durable, stored, rejected, lost, dropped, duplicates = sums
        is_file = kind == "file"
        found[kind] = Totals(
            producers,
            _produced(kind, durable, stored, rejected, dropped),
            stored,
            rejected,
            0 if is_file else lost,
            dropped,
            duplicates,
            durable if is_file else 0,
            lost if is_file else 0,
            unbalanced,
        )
    if question.producer is None:
        for kind, totals in _parse_forgotten(forgotten).items():
            if question.kind in (None, kind):
                found[kind] += totals
    return found


def forget(value: Iterable[Sequence[Any]], rows: Iterable[Sequence[Any]]) -> str:
    """What the sums of forgotten producers become by these rows of a page's."""
    found = _parse_forgotten(value)
    for row in rows:
        account = _account(row)
        found[account.kind] += Totals(
            0,
            account.produced,
            account.stored,
            account.rejected,
            account.lost,
            account.dropped,
            account.duplicates,
            account.position or 0,
            account.lost_bytes or 0,
            int(account.balanced is False),
            1,
        )
    text = json.dumps({kind: asdict(totals) for kind, totals in found.items()})
    return f"{crc32(text.encode()):08x} {text}"


def _parse_forgotten(value: Iterable[Sequence[Any]]) -> dict[str, Totals]:
    """The sums; what does not match its checksum is a producer out of balance."""
    found = {kind: Totals() for kind in KINDS}
    for (written,) in value:
        checksum, _, text = str(written).partition(" ")
        if checksum != f"{crc32(text.encode()):08x}":
            found["session"].unbalanced = 1
            continue
        for kind, sums in json.loads(text).items():
            found[kind] = Totals(**sums)
    return found


def parse_cursor(text: str) -> tuple[int, bytes] | None:
    """What `next_cursor` says; None when it is none."""
    found = _CURSOR.fullmatch(text)
    if found is None or len(found[2]) % 2 or abs(int(found[1])) >= 1 << 63:
        return None
    return int(found[1]), bytes.fromhex(found[2])


def _account(row: Sequence[Any]) -> Account:
    identity, kind, source, durable, stored, rejected, lost, dropped, *rest = row
    duplicates, reasons, began, seen, finished = rest
    is_file = kind == "file"
    produced = _produced(kind, durable, stored, rejected, dropped)
    return Account(
        identity.hex(),
        kind,
        source,
        produced,
        stored,
        rejected,
        0 if is_file else lost,
        dropped,
        duplicates,
        None if is_file else durable,
        durable if is_file else None,
        lost if is_file else None,
        msgpack.unpackb(reasons),
        format_timestamp(began) if began else None,
        format_timestamp(seen) if seen else None,
        bool(finished),
        None if is_file else produced == stored + rejected + lost + dropped,
    )


def _produced(kind: str, durable: int, stored: int, rejected: int, dropped: int) -> int:
    if kind == "session":
        return durable + dropped
    # of plain messages only what is stored has a number; of a file bytes have
    return rejected + (durable if kind == "plain" else stored)
