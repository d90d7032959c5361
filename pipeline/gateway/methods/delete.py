"""`delete`: count what a filter has, and with the count's token have it deleted."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct

from pipeline.gateway.errors import NOT_DONE, wrong_param
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.methods.query import QUERY_ERRORS
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.query.deletions import DeletePlan, DeleteRequest
from pipeline.query.replies import Unreadable, Window

_BY: Final = "gateway"
_NOT_FILTERS: Final = ("dry_run", "confirm")


class DeleteResult(Struct, frozen=True, kw_only=True):
    """What would go, or went."""

    dry_run: bool
    count: Annotated[int, Meta(description="Entries of the dry run, exactly.")]
    confirm: Annotated[
        str, Meta(description="Param of the call that deletes these entries.")
    ]
    deleted: Annotated[
        int,
        Meta(description="Entries that went: fewer when others went before them."),
    ]
    blocks_rewritten: int
    window: Window
    unreadable_blocks: Unreadable = UNSET


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Ask a worker for the count, and the ingester for the rest."""
    del is_notification
    asked = bind(params, DeleteRequest)
    if asked.dry_run and asked.confirm is not None:
        raise wrong_param("confirm", "given with a dry run", "dry_run: false beside it")
    if not asked.dry_run and asked.confirm is None:
        raise wrong_param("confirm", "missing", "`confirm` of the dry run")
    plan = msgspec.json.decode(
        await services.pool.ask("delete", asked), type=DeletePlan
    )
    done: dict[str, Any] = {}
    if not asked.dry_run:
        by = services.principal.name if services.principal.token else _BY
        done = await services.orders.give("delete", _order(asked, plan, by))
    return msgspec.json.encode(
        DeleteResult(
            dry_run=asked.dry_run,
            count=plan.count,
            confirm=plan.confirm,
            deleted=done.get("deleted", 0),
            blocks_rewritten=done.get("blocks_rewritten", 0),
            window=plan.window,
            unreadable_blocks=done.get("unreadable_blocks") or plan.unreadable_blocks,
        )
    )


def _order(asked: DeleteRequest, plan: DeletePlan, by: str) -> dict[str, Any]:
    """The request to the ingester: the filter as it was, up to what was counted."""
    filters = {
        name: value
        for name, value in msgspec.structs.asdict(asked).items()
        if name not in _NOT_FILTERS and value is not None
    }
    return {"params": filters, "now": plan.now, "up_to": plan.mark, "by": by}


METHOD = Method(
    name="delete",
    summary="Count what a filter has, and with the count's token delete it.",
    params=DeleteRequest,
    result=DeleteResult,
    errors=(*QUERY_ERRORS, NOT_DONE),
    answer=answer,
)
