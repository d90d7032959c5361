"""`get_entry` with a budget: one entry, or a piece of a long field of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pipeline.query.budget import Budget
from pipeline.query.lookups import PIECE_CHARACTERS, EntryRequest
from pipeline.query.methods.get_entry import cut_piece
from pipeline.query.methods.method import Context
from pipeline.redaction import MASK, is_secret_key
from pipeline.tools.budget import Detail, Reply, fit
from pipeline.tools.definitions import MAX_TOKENS
from pipeline.tools.rows import Log
from pipeline.tools.snapshot import Snapshot, read
from pipeline.tools.text import NOTICE, apart, clean, legible, value_text

_HINT: Final = "field and offset show the rest of a long value: message, metadata.KEY"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> Reply:
    """All fields, or one."""
    request = read(params, EntryRequest)
    snapshot = Snapshot(context, now, budget)
    most = request.max_tokens or MAX_TOKENS
    if request.field is not None:
        return _piece(snapshot, request, request.field, most)
    log: Log = snapshot.ask("get_entry", id=request.id)["log"]

    def build(detail: Detail) -> Reply:
        # the longest text first: a message of one entry is what was asked for
        characters = detail.characters * most // 300
        metadata = list((log["metadata"] or {}).items())
        shown = metadata[: detail.rows]
        is_cut = len(shown) < len(metadata)
        entry = {
            "id": log["id"],
            "timestamp": log["timestamp"],
            "source": clean(log["source"], 256),
            "level": log["level"],
            "message": clean(log["message"], characters),
            "metadata": apart(
                (key, value_text(key, value, max(60, characters // 4)))
                for key, value in shown
            ),
            "tags": [clean(tag, 60) for tag in (log["tags"] or [])[: detail.rows]],
            "trace_id": log["trace_id"] and clean(log["trace_id"], 256),
        }
        return {
            "notice": NOTICE,
            "entry": {name: value for name, value in entry.items() if value},
            "count": len(metadata),
            "returned": len(shown),
            "truncated": is_cut or len(log["message"]) > characters,
            "hints": [_HINT, "get_context with the id shows its neighbours"],
        }

    return fit(build, most)


def _piece(snapshot: Snapshot, request: EntryRequest, field: str, most: int) -> Reply:
    """As much of the field from the offset on as the budget has room for.

    Offsets are of the text as it is shown: a piece that began within a secret would
    have the rest of it, which looks like none.
    """
    found = snapshot.ask(
        "get_entry", id=request.id, field=field, length=PIECE_CHARACTERS
    )["piece"]
    is_secret = is_secret_key(field.rpartition(".")[2])
    text = MASK if is_secret else legible(found["text"])
    length = min(request.length, most * 4)
    piece = cut_piece(field, text, request.offset, length)

    def build(detail: Detail) -> Reply:
        # a cut by hundreds, and by thousands while all of it may fit
        shown = piece.text[: detail.rows * 64]
        end = request.offset + len(shown)
        return {
            "notice": NOTICE,
            "field": clean(found["field"], 256),
            "text": shown,
            "offset": request.offset,
            "returned": len(shown),
            "count": piece.total,
            "truncated": end < piece.total,
            "next_offset": end if end < piece.total else None,
        }

    return fit(build, most)
