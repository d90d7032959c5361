"""What the methods work with: one of each for the whole gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pipeline.gateway.health import HealthResult
from pipeline.gateway.intake import Intake
from pipeline.gateway.pool import Pool


@dataclass(frozen=True, slots=True)
class Services:
    """The way in (`intake`), the way to answers (`pool`), and the state of it all."""

    intake: Intake
    pool: Pool
    report: Callable[[], Awaitable[HealthResult]]
    document: Callable[[], bytes]
    clock_ns: Callable[[], int]
