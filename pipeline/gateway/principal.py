"""Who calls, and which methods and routes each role may use.

What is named in no table is for admins alone: a new method is closed until it has a
verdict, and a test asks for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.errors import EntryError
from pipeline.reserved import check_reserved
from pipeline.scope import EVERYTHING, Scope

WRITE: Final = "write"
READ: Final = "read"
ADMIN: Final = "admin"
ROLES: Final = (WRITE, READ, ADMIN)

METHODS_OF: Final[dict[str, frozenset[str]]] = {
    WRITE: frozenset({"log", "log_batch"}),
    READ: frozenset(
        {
            *("query", "search", "get_stats", "aggregate", "histogram", "facets"),
            *("patterns", "describe", "get_entry", "get_context", "get_trace"),
            *("explain", "export", "get_alerts", "get_ledger", "get_limits", "health"),
            *("get_metrics", "rpc.discover", "subscribe", "unsubscribe"),
            *("get_recent_errors", "analyze_performance", "debug_session"),
            *("search_logs", "get_log_stats", "list_patterns", "describe_logs"),
        }
    ),
    ADMIN: frozenset(
        {"delete", "acknowledge_alert", "silence", "unsilence", "reload_config"}
    ),
}
"""The role that each method is made for; admins may use all."""

OPEN_ROUTES: Final = frozenset({"/health/live", "/health/ready"})
"""Probes have no token; these say yes or no, and nothing else."""

CALLING_ROUTES: Final = frozenset({"/", "/rpc", "/ws"})
"""For every token: what is called there is judged by its method."""

READING_ROUTES: Final = frozenset({"/tail", "/export", "/metrics"})

OF_THE_WHOLE: Final = frozenset({"health", "get_metrics", "get_ledger", "/metrics"})
"""Methods and routes that count what all have logged: not for tokens with a scope."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the name, role and scope of a token, and its id to see it revoked."""

    name: str
    role: str
    token: str = ""
    address: str = ""
    scope: Scope = EVERYTHING
    """Of who reads, what there is for them; of who writes, the sources they are."""

    @property
    def caller(self) -> str:
        """Whose calls are counted together: those of a token, or of an address."""
        return self.token or self.address

    def may_call(self, method: str) -> bool:
        """Whether the role has this method."""
        if not self.scope.is_everything and method in OF_THE_WHOLE:
            return False
        return self.role == ADMIN or method in METHODS_OF.get(self.role, ())

    def check_source(self, source: str) -> None:
        """Raises EntryError for a source that is not the caller's to write."""
        check_reserved(source)
        if not self.scope.allows(source):
            expected = ", ".join(self.scope.sources)
            raise EntryError("source", f"{source!r} is not this token's", expected)

    def may_visit(self, path: str) -> bool:
        """Whether the role has this route; what is called there is judged again."""
        if path in OPEN_ROUTES or path in CALLING_ROUTES or self.role == ADMIN:
            return True
        if not self.scope.is_everything and path in OF_THE_WHOLE:
            return False
        return self.role == READ and path in READING_ROUTES


LOCAL: Final = Principal("local", ADMIN)
"""Who calls while nobody needs a token: somebody of this machine."""
