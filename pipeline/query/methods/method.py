"""What every method of a worker works with, and what a method's file offers.

A file has NAME and `answer(context, params, now, budget)`, which gives a Struct back;
it raises QueryError of any kind, and StoreError. `table` lists the files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from pipeline.query import requests
from pipeline.query.budget import Budget
from pipeline.query.cells import CellStore
from pipeline.query.plan import Plan
from pipeline.query.replies import Window
from pipeline.query.requests import FieldError
from pipeline.query.scan import Headers
from pipeline.timestamp import format_timestamp

REPLY_BYTES: Final = requests.REPLY_BYTES

Request = TypeVar("Request", bound=Struct)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the settings allow one question."""

    rows: int = 10_000
    """Entries returned."""
    rows_scanned: int = 1_000_000_000
    seconds: float = 30.0
    bytes_scanned: int = 64 << 30
    """Read from the store, compressed as they are."""
    groups: int = 1_000_000
    """Of one table."""


@dataclass(frozen=True, slots=True)
class Context:
    """The database that questions are about, and what they may cost."""

    headers: Headers
    limits: Limits
    clock: Callable[[], float]
    """Seconds, monotonic."""
    own: Headers
    """Of the store alone, without the archives that are attached to it."""
    cells: CellStore = field(default_factory=CellStore)

    def __post_init__(self) -> None:
        self.headers.forget.append(self.cells.clear)

    def took_ms(self, started: float) -> float:
        """Milliseconds since then."""
        return round((self.clock() - started) * 1000, 3)


class Method(Protocol):
    """A file of this package."""

    NAME: str

    def answer(
        self, context: Context, params: Mapping[str, Any], now: int, budget: Budget, /
    ) -> Struct:
        """The reply."""


def read_params(params: Mapping[str, Any], kind: type[Request]) -> Request:
    """The parameters as their type; raises FieldError."""
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$.")
        raise FieldError(path.rstrip("`") or "params", problem) from None


def mark_plan(plan: Plan, newest: int) -> Plan:
    """The plan over what is there now: nothing that is committed later."""
    return Plan(plan.filter, plan.low, plan.high, newest)


def window_of(plan: Plan) -> Window:
    """The plan's window as replies tell it."""
    return Window(
        None if plan.low is None else format_timestamp(plan.low),
        None if plan.high is None else format_timestamp(plan.high),
    )
