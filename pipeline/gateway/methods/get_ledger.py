"""`get_ledger`: what became of each producer's entries."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from pipeline.gateway.errors import BUSY, wrong_param
from pipeline.gateway.jsonrpc import Params
from pipeline.gateway.methods.method import Method
from pipeline.gateway.params import bind
from pipeline.gateway.services import Services
from pipeline.store.producers import Question, parse_cursor

PAGE_PRODUCERS: Final = 1_000

Count = Annotated[int, Meta(ge=0)]


class LedgerParams(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which producers; without any param those that were heard last."""

    producer: (
        Annotated[
            str,
            Meta(pattern="^[0-9a-fA-F]{32}$", description="Only the one with this id."),
        ]
        | None
    ) = None
    kind: Annotated[
        Literal["session", "file", "plain"] | None,
        Meta(description="Only acknowledged senders, files, or plain messages."),
    ] = None
    limit: Annotated[
        int, Meta(ge=1, le=PAGE_PRODUCERS, description="Producers of a page.")
    ] = 100
    cursor: Annotated[
        str | None, Meta(description="`next_cursor` of the page before.")
    ] = None


class ProducerAccount(Struct):
    """One producer: produced = stored + rejected + lost + dropped."""

    producer: str
    kind: Literal["session", "file", "plain"]
    source: Annotated[str, Meta(description="Of its first entry; empty if unknown.")]
    produced: Count
    stored: Count
    rejected: Count
    lost: Count
    dropped: Annotated[
        int, Meta(ge=0, description="Given up by the sender's policy before numbering.")
    ]
    duplicates: Annotated[int, Meta(ge=0, description="Came again; discarded.")]
    durable: Annotated[
        int | None, Meta(description="Its highest number on disk; null for a file.")
    ]
    position: Annotated[
        int | None, Meta(description="Of a file: bytes that are read and on disk.")
    ]
    lost_bytes: Annotated[
        int | None, Meta(description="Of a file: bytes that were never read.")
    ]
    reasons: Annotated[dict[str, int], Meta(description="Rejected entries by reason.")]
    first_seen: str | None
    last_seen: str | None
    finished: Annotated[bool, Meta(description="Whether it said that it has ended.")]
    balanced: Annotated[
        bool | None,
        Meta(
            description="Whether what was counted is what was produced; of a file"
            " nobody knows how many entries its bytes are."
        ),
    ]


class KindTotals(Struct):
    """All producers of one kind; `position` and `lost_bytes` are of files."""

    producers: Count
    produced: Count
    stored: Count
    rejected: Count
    lost: Count
    dropped: Count
    duplicates: Count
    position: Count
    lost_bytes: Count
    unbalanced: Count
    forgotten: Annotated[
        int, Meta(ge=0, description="Producers in these sums that are not listed.")
    ]


class LedgerTotals(Struct):
    """By kind; plain messages are not acknowledged: only what arrived is known."""

    session: KindTotals
    file: KindTotals
    plain: KindTotals


class LedgerResult(Struct):
    """A page of producers, and the totals of all that were asked for."""

    producers: Annotated[
        list[ProducerAccount], Meta(description="The one heard last first.")
    ]
    totals: LedgerTotals
    balanced: Annotated[
        bool, Meta(description="Whether each of them balances, also on other pages.")
    ]
    truncated: bool
    next_cursor: str | None


async def answer(services: Services, params: Params, is_notification: bool) -> bytes:
    """Read the table."""
    del is_notification
    given = bind(params, LedgerParams)
    after = None if given.cursor is None else parse_cursor(given.cursor)
    if given.cursor is not None and after is None:
        raise wrong_param("cursor", "not a cursor", "next_cursor as it came")
    producer = None if given.producer is None else bytes.fromhex(given.producer)
    question = Question(given.limit, producer, given.kind, after)
    ledger = await services.ledger.read(question)
    return msgspec.json.encode(
        msgspec.convert(ledger, LedgerResult, from_attributes=True)
    )


METHOD = Method(
    name="get_ledger",
    summary="What became of each producer's entries, and whether it adds up.",
    params=LedgerParams,
    result=LedgerResult,
    errors=(BUSY,),
    answer=answer,
)
