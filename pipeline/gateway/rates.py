"""How much each caller may ask: a bucket of tokens for each, kept as one time. Pure.

A caller's bucket is the time at which it will be full again (generic cell rate
algorithm, ITU-T I.371): nothing has to fill it, and a full one need not be kept.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

CALLERS: Final = 10_000
"""Callers that are told apart; beyond it the one that asked least lately begins anew,
which errs on its side."""


class Rates:
    """`burst` at once and `per_second` on average, for each caller; 0: any number."""

    def __init__(
        self, per_second: float = 0.0, burst: float = 1.0, callers: int = CALLERS
    ) -> None:
        self._callers = callers
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self.change(per_second, burst)

    def change(self, per_second: float, burst: float) -> None:
        """Go by other numbers from now on."""
        self._per_second = per_second
        self._depth = max(burst, 1.0) / per_second if per_second else 0.0
        if not per_second:
            self._full_at.clear()

    def wait(self, caller: str, now: float) -> float:
        """Seconds until the caller may ask; 0: it may now."""
        full_at = self._full_at.get(caller)
        if full_at is None:
            return 0.0
        return max(0.0, full_at + 1 / self._per_second - self._depth - now)

    def spend(self, caller: str, cost: int, now: float) -> None:
        """It has asked. What costs more than is left is paid for later."""
        if not self._per_second or cost <= 0:
            return
        full_at = max(self._full_at.get(caller, now), now)
        self._full_at[caller] = full_at + cost / self._per_second
        self._full_at.move_to_end(caller)
        self._forget(now)

    def _forget(self, now: float) -> None:
        """Who asked least lately, while their buckets are full or they are too many."""
        while self._full_at:
            caller, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= self._callers:
                break
            del self._full_at[caller]

    def __len__(self) -> int:
        return len(self._full_at)
