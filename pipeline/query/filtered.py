"""Requests that filter and do not page: their plan, and what tells one from another."""

from __future__ import annotations

from typing import Any, Final, Protocol
from zlib import crc32

import msgspec
from msgspec import Struct

from pipeline.query.plan import FILTER_NAMES, Plan, make_plan
from pipeline.query.requests import StatsRequest

FILTERS: Final = (*FILTER_NAMES, "since", "until", "timerange")
"""The parameters that say which entries are meant."""


class Filtered(Protocol):
    """A request with all of FILTERS."""

    @property
    def q(self) -> str | None:
        """The search text: a filter, without pipes."""

    @property
    def sources(self) -> list[str] | None:
        """Entries of any of these."""

    @property
    def timerange(self) -> str | None:
        """How far back from now."""


def plan_of(request: Filtered, now: int) -> Plan:
    """Which entries are meant; raises FieldError."""
    return make_plan(filter_of(request), now)


def filter_of(request: Filtered) -> StatsRequest:
    """Only the parameters that say which entries are meant."""
    return StatsRequest(**{name: getattr(request, name) for name in FILTERS})


def digest_of(request: Struct, *others: str) -> int:
    """A number that tells one filter from another; `others` are parameters too."""
    asked: list[Any] = [getattr(request, name) for name in (*FILTERS, *others)]
    return crc32(msgspec.json.encode([type(request).__name__, asked]))
