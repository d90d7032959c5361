"""What the methods work with: one of each for the whole gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from msgspec import Struct

from pipeline.gateway.health import HealthResult
from pipeline.gateway.intake import Intake
from pipeline.gateway.ledger import LedgerReader
from pipeline.gateway.numbered import Numbered
from pipeline.gateway.orders import Orders
from pipeline.gateway.principal import LOCAL, Principal
from pipeline.gateway.reloading import Reloaded
from pipeline.gateway.watching.results import MetricsResult
from pipeline.scope import Scope

Note = Callable[[str, Principal, str, Mapping[str, Any]], None]
"""(action, who, message, more) for the audit."""


class Asked(Protocol):
    """The query workers, or what of the store there is for somebody."""

    async def ask(
        self, method: str, params: Struct, scope: Scope | None = None
    ) -> bytes:
        """The answer as JSON text; raises RpcError."""


@dataclass(frozen=True, slots=True)
class UnderScope:
    """Asks the workers of what a scope allows."""

    pool: Asked
    own: Scope

    async def ask(
        self, method: str, params: Struct, scope: Scope | None = None
    ) -> bytes:
        """The answer as JSON text; raises RpcError. No other scope is wider."""
        del scope
        return await self.pool.ask(method, params, self.own)


@dataclass(frozen=True, slots=True)
class Services:
    """Ways in (`intake`, `numbered`), ways to answers (`pool`, `ledger`), the state,
    orders to the ingester, and the configuration read anew by all."""

    intake: Intake
    numbered: Numbered
    pool: Asked
    ledger: LedgerReader
    report: Callable[[], Awaitable[HealthResult]]
    metrics: Callable[[], Awaitable[MetricsResult]]
    document: Callable[[], bytes]
    clock_ns: Callable[[], int]
    limits: Callable[[], bytes]
    orders: Orders
    reload: Callable[[], Awaitable[Reloaded]]
    note: Note
    principal: Principal = LOCAL

    def of(self, principal: Principal) -> Services:
        """As there are for who calls: questions are asked under their scope."""
        pool = UnderScope(self.pool, principal.scope)
        return replace(self, pool=pool, principal=principal)

    def audit(self, action: str, message: str, **more: Any) -> None:
        """What the caller has done is kept."""
        self.note(action, self.principal, message, more)
