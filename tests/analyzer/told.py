"""A book of alerts that is played by the second, and what it told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pipeline.alerts import (
    Alert,
    Matcher,
    Silence,
    fold,
    to_entry,
)
from pipeline.analyzer.book import Book, Notice, Policy
from pipeline.analyzer.findings import Finding, State
from pipeline.timestamp import SECOND
from tests.alerts.made import T0, at

SPIKE = Finding(
    detector="error_spike",
    source="web",
    key="",
    state=State.OPEN,
    at=T0,
    since=T0 - 5,
    value=20.0,
    baseline=None,
    threshold=20.0,
    window=300,
    text="20 errors of web in 300 s",
    query="source:web level:(error OR fatal)",
)


def of(source: str, **changes: Any) -> Finding:
    """The spike of another source."""
    return replace(SPIKE, source=source, query=f"source:{source}", **changes)


def over(finding: Finding) -> Finding:
    """Its end."""
    return replace(finding, state=State.CLOSED, value=0.0)


def silence(until: float, **matcher: str) -> Silence:
    """A silence that ends so many seconds after T0."""
    fits = Matcher(**matcher)
    return Silence(
        id=fits.id, matcher=fits, until=at(until), by="ann", comment="", at=at(0)
    )


class Told:
    """A book, and what it told; seconds are counted from T0."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.book = Book(policy)
        self.notices: list[Notice] = []

    def at(self, second: float, *findings: Finding) -> list[str]:
        """What is told then: in capitals what is sent too."""
        self.book.take(findings, T0 + second)
        told = self.book.tick(T0 + second)
        self.notices += told
        return _words(told)


def _words(told: Iterable[Notice]) -> list[str]:
    return [one.kind.upper() if one.send else str(one.kind) for one in told]


def kept(told: Told) -> list[Alert]:
    """The alerts as the store gives them back."""
    entries = [to_entry(n.kind, n.alert, int(n.at * SECOND)) for n in told.notices]
    return fold(entry.metadata or {} for entry in entries).alerts
