"""What collectors say that they gave up, against the store and against the ledger.

A service reports its calls by level.  Each of them must be in the store, or in what its
collector counted as dropped, lost or rejected; and the ledger must say the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.store.producers import Account, Question, read_ledger
from tests.faults.oracle import stored_levels
from tests.faults.processes import Producer

ACCOUNTS = 1000


class Accounts(NamedTuple):
    """Services whose collectors may have given up entries."""

    given_up: int
    """As they say."""
    wrong: int
    """Entries that are neither stored nor counted, or both; by level."""
    unsettled: int
    """Entries by which the ledger differs from the store, the services, or itself."""
    said: str
    """The differences, each after a comma."""


def compare(
    database: Path, producers: Sequence[Producer], *, but: str = ""
) -> Accounts:
    """Services that have ended, and all the ledger's sessions but that of a source."""
    logged: Counter[str] = Counter()
    given_up: Counter[str] = Counter()
    for producer in producers:
        logged.update(producer.report["levels"])
        given_up += given_up_by(producer.report)
    sources = [oracle.source for each in producers for oracle in each.oracles]
    stored = stored_levels(database, sources)
    by_level = {
        level: logged[level] - stored[level] - given_up[level]
        for level in logged | stored | given_up
    }
    found = [
        each
        for each in read_ledger(database, Question(ACCOUNTS, kind="session")).producers
        if each.source != but
    ]
    ledger = _ledger(found, logged.total(), stored.total())
    said = {name: count for name, count in (by_level | ledger).items() if count}
    return Accounts(
        given_up.total(),
        sum(map(abs, by_level.values())),
        sum(map(abs, ledger.values())),
        "".join(f", {name} {count:+,}" for name, count in said.items()),
    )


def given_up_by(report: Mapping[str, Any]) -> Counter[str]:
    """Entries that a collector has dropped or lost, by level."""
    found: Counter[str] = Counter()
    for levels in (*report["dropped"].values(), *report["lost"].values()):
        found.update(levels)
    return found


def _ledger(found: list[Account], logged: int, stored: int) -> dict[str, int]:
    """By what the ledger is wrong."""
    rest = sum(each.rejected + each.lost + each.dropped for each in found)
    return {
        "produced": sum(each.produced for each in found) - logged,
        "stored": sum(each.stored for each in found) - stored,
        "given up": rest - (logged - stored),
        "unbalanced": sum(not each.balanced for each in found),
    }
