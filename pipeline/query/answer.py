"""Method and parameters in, reply as JSON out: all of a worker but its pipes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from pipeline.errors import ColumnError, StoreError
from pipeline.query.budget import Budget
from pipeline.query.methods.method import Context, Limits, Method
from pipeline.query.methods.table import METHODS
from pipeline.query.replies import Reply
from pipeline.query.scan import Headers
from pipeline.scope import Scope
from pipeline.store.reader import Reader
from pipeline.store.scoped import ScopedReader

__all__ = ["METHODS", "Engine", "Limits"]

_SCOPES: Final = 4
"""Scopes whose headers and caches are kept, of those asked last."""

_TRIES: Final = 3
"""Answers that blocks went away from: a store short of room purges after seconds."""


class Engine:
    """Answers questions about one database, which may not exist yet."""

    def __init__(
        self,
        path: Path,
        limits: Limits,
        clock: Callable[[], float],
        methods: Mapping[str, Method] = METHODS,
        attached: Sequence[Path] = (),
        *,
        needs_all: bool = True,
    ) -> None:
        """`attached` are archives, whose entries are found, but never deleted.

        If one can't be, no question is answered, or each answer says so.
        """
        self._methods = methods
        own = Headers(Reader(path))
        headers = own
        if attached:
            headers = Headers(Reader(path, attached, needs_all=needs_all))
        self._context = Context(headers, limits, clock, own)
        self._scoped: OrderedDict[Scope, Context] = OrderedDict()
        self._encode = msgspec.json.Encoder().encode

    def budget(
        self, timeout: float | None = None, cancelled: Callable[[], bool] = bool
    ) -> Budget:
        """The budget of a question that begins now."""
        limits, clock = self._context.limits, self._context.clock
        seconds = min(timeout or limits.seconds, limits.seconds)
        return Budget(
            clock,
            clock() + seconds,
            limits.rows_scanned,
            cancelled,
            limits.bytes_scanned,
            lambda: self._context.headers.reader.fetched,
        )

    def rest(self) -> None:
        """Let go of the blocks that are kept for the next question."""
        for context in (self._context, *self._scoped.values()):
            context.headers.opened.clear()

    def _under(self, scope: Scope | None) -> Context:
        """The store as a scope shows it; each has caches of its own."""
        if scope is None or scope.is_everything:
            return self._context
        context = self._scoped.get(scope)
        if context is None:
            whole = self._context
            headers = Headers(ScopedReader(whole.headers.reader, scope))
            own = headers
            if whole.own is not whole.headers:
                own = Headers(ScopedReader(whole.own.reader, scope))
            context = Context(headers, whole.limits, whole.clock, own)
        self._scoped[scope] = context
        self._scoped.move_to_end(scope)
        if len(self._scoped) > _SCOPES:
            self._scoped.popitem(last=False)
        for other in (self._context, *self._scoped.values()):
            if other is not context:  # of opened blocks, memory has room for one's
                other.headers.opened.clear()
        return context

    def has(self, method: str) -> bool:
        """Whether there is a method of that name."""
        return method in self._methods

    def answer(
        self,
        method: str,
        params: Mapping[str, Any],
        now: int,
        budget: Budget,
        scope: Scope | None = None,
    ) -> bytes:
        """The reply as JSON; raises QueryError of any kind, and StoreError.

        Under a scope the store has nothing but what it allows.

        A block of which a part can't be read is left out by answering anew without it:
        nothing of it may have been counted by half. One that went away meanwhile has
        its entries elsewhere: the answer is sought there, a few times.
        """
        context = self._under(scope)
        headers = context.headers
        lost: set[int] = set()
        tries = _TRIES
        while True:
            headers.damaged = context.own.damaged = set(lost)
            try:
                found = self._methods[method].answer(context, params, now, budget)
            except (ColumnError, StoreError) as error:
                budget.check()
                unread = headers.damaged - lost
                if isinstance(error, ColumnError):
                    unread |= {error.block} - lost
                if not unread:
                    raise
                lost |= unread & _live(headers)
                continue
            if not headers.damaged or not tries or headers.damaged <= _live(headers):
                return self._encode(_warned(found, headers.reader.unattached))
            tries -= 1


def _warned(found: Struct, unattached: int) -> Struct:
    """The reply, which tells of archives whose entries are missing."""
    if not unattached or not isinstance(found, Reply):
        return found
    return msgspec.structs.replace(found, unattached_archives=unattached)


def _live(headers: Headers) -> set[int]:
    """The blocks there are: what compaction took away has its entries elsewhere."""
    headers.refresh()
    return {header.id for header in headers.reader.headers}
