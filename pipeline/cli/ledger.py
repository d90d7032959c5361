"""`pipeline ledger`: what became of each producer's entries, as a table.

Reads the database, so the pipeline may run or not. The exit code is 0 when everything
that was produced is accounted for, 1 when a producer does not balance, and 2 when that
can't be told.
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.store.producers import Account, Ledger, Totals

SHOWN: Final = 20
"""Producers without --all: the ones heard last."""

MOST: Final = 1_000_000
UNBALANCED: Final = 1
UNKNOWN: Final = 2

_HEAD: Final = (
    *("producer", "kind", "source", "produced", "stored", "rejected", "lost"),
    *("dropped", "duplicates", "last seen", ""),
)
_TEXTS: Final = {0, 1, 2, 9, 10}
"""Columns that begin on the left."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "Ends with 0 when everything is accounted for, 1 when a producer does not "
        "balance, 2 when there is no database that can be read."
    )
    parser.add_argument("--config", metavar="FILE", help="settings, as YAML")
    parser.add_argument("--producer", metavar="HEX", type=_producer, help="only this")
    parser.add_argument("--all", action="store_true", help="not only the newest 20")
    parser.add_argument("--json", action="store_true", help="as JSON, like get_ledger")


def run(arguments: Namespace) -> int:
    """Print it; 1 when a producer doesn't balance, 2 when it can't be read."""
    from pathlib import Path

    from pipeline.errors import StoreError
    from pipeline.settings import load
    from pipeline.store.producers import Question, read_ledger

    settings = load(arguments.config, os.environ, {})
    limit = MOST if arguments.all else SHOWN
    path = Path(settings.storage.db_path)
    try:
        ledger = read_ledger(path, Question(limit, arguments.producer))
    except StoreError as error:
        print(f"pipeline ledger: {error}", file=sys.stderr)
        return UNKNOWN
    if arguments.json:
        _print_json(ledger)
    else:
        print("\n".join(lines(ledger)))
    if ledger.balanced:
        return 0
    count = sum(each.unbalanced for each in ledger.totals.values())
    of = sum(each.producers + each.forgotten for each in ledger.totals.values())
    text = f"pipeline ledger: {count:,} of {of:,} producers do not balance"
    print(text, file=sys.stderr)
    return UNBALANCED


def lines(ledger: Ledger) -> list[str]:
    """The table, and below it what it leaves out."""
    rows = [_HEAD, *map(_row, ledger.producers)]
    rows += [
        _sums(kind, totals)
        for kind, totals in ledger.totals.items()
        if totals.producers or totals.forgotten
    ]
    found = _aligned(rows)
    for place, account in enumerate(ledger.producers, 1):
        if account.reasons:
            found[place] += f"  rejected: {_reasons(account)}"
    hidden = sum(each.producers for each in ledger.totals.values())
    hidden -= len(ledger.producers)
    if hidden > 0:
        found.append(f"and {hidden:,} more, which --all shows")
    if ledger.totals["plain"].producers:
        found.append("plain: not acknowledged; only what arrived is known")
    return found


def _row(account: Account) -> tuple[str, ...]:
    return (
        account.producer,
        account.kind,
        _printable(account.source),
        *_counts(account),
        (account.last_seen or "")[:19],
        _remark(account),
    )


def _sums(kind: str, totals: Totals) -> tuple[str, ...]:
    count = totals.producers + totals.forgotten
    forgotten = f"{totals.forgotten:,} forgotten" if totals.forgotten else ""
    return ("all", kind, f"{count:,} producers", *_counts(totals), "", forgotten)


def _counts(of: Account | Totals) -> tuple[str, ...]:
    counts = (of.produced, of.stored, of.rejected, of.lost, of.dropped, of.duplicates)
    return tuple(f"{count:,}" for count in counts)


def _remark(account: Account) -> str:
    if account.balanced is False:
        return "DOES NOT BALANCE"
    if account.position is not None:
        lost = f", {account.lost_bytes:,} lost" if account.lost_bytes else ""
        return f"{account.position:,} bytes{lost}"
    return "finished" if account.finished else ""


def _reasons(account: Account) -> str:
    reasons = sorted(account.reasons.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{_printable(name)} {count:,}" for name, count in reasons)


def _printable(text: str) -> str:
    """Senders choose it: no line breaks, nothing that a terminal obeys."""
    shown = "".join(each if each.isprintable() else "?" for each in text)
    return shown if len(shown) <= 32 else f"{shown[:31]}…"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_cells(row, widths)).rstrip() for row in rows]


def _cells(row: Iterable[str], widths: Sequence[int]) -> Iterable[str]:
    for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.ljust(width) if place in _TEXTS else cell.rjust(width)


def _print_json(ledger: Ledger) -> None:
    import json
    from dataclasses import asdict

    print(json.dumps(asdict(ledger), indent=2))


def _producer(text: str) -> bytes:
    try:
        identity = bytes.fromhex(text)
    except ValueError:
        identity = b""
    if len(identity) != 16:
        raise ArgumentTypeError(f"{text!r} is no producer; expected 32 hex digits")
    return identity
