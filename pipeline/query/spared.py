"""What no deletion takes: the audit, which is append-only."""

from __future__ import annotations

from dataclasses import replace

from pipeline import audit
from pipeline.query.filtered import Filtered, plan_of
from pipeline.query.filters import Every, Sources, Without
from pipeline.query.plan import Plan
from pipeline.query.requests import FieldError


def plan_of_deletion(request: Filtered, now: int) -> Plan:
    """Which entries are meant, those of the audit aside; raises FieldError.

    A request for the audit by its name is refused: it would seem to be done.
    """
    plan = plan_of(request, now)
    sources = request.sources
    if sources and audit.SOURCE in sources:
        problem = f"{audit.SOURCE} is append-only"
        raise FieldError("sources", problem, hint="other sources can be deleted")
    kept = Every([plan.filter, Without(Sources([audit.SOURCE]))])
    return replace(plan, filter=kept)
