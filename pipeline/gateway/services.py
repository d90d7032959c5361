"""What the methods work with: one of each for the whole gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipeline.gateway.health import HealthResult
from pipeline.gateway.intake import Intake
from pipeline.gateway.ledger import LedgerReader
from pipeline.gateway.numbered import Numbered
from pipeline.gateway.orders import Orders
from pipeline.gateway.pool import Pool


@dataclass(frozen=True, slots=True)
class Services:
    """Ways in (`intake`, `numbered`), ways to answers (`pool`, `ledger`), the state,
    orders to the ingester and to the analyzer."""

    intake: Intake
    numbered: Numbered
    pool: Pool
    ledger: LedgerReader
    report: Callable[[], Awaitable[HealthResult]]
    document: Callable[[], bytes]
    clock_ns: Callable[[], int]
    limits: Callable[[], bytes]
    orders: Orders
    analyzer: Orders
