"""`get_entry`: one entry by its id, or a piece of one of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from pipeline.batch.layout import METADATA, METADATA_PREFIX
from pipeline.query.budget import Budget
from pipeline.query.locate import Located, locate
from pipeline.query.lookups import EntryReply, EntryRequest, Piece
from pipeline.query.methods.method import Context, read_params
from pipeline.query.requests import FieldError
from pipeline.query.rows import Renderer

NAME: Final = "get_entry"


def answer(
    context: Context, params: Mapping[str, Any], now: int, budget: Budget
) -> EntryReply:
    """The entry or the piece."""
    del now
    started = context.clock()
    request = read_params(params, EntryRequest)
    if request.field is None and request.offset:
        raise FieldError("offset", "of no field", hint="name a field")
    found = locate(context, request.id, budget)
    if request.field is None:
        log = Raw(found.row(Renderer(None)).json)
        return EntryReply(log=log, piece=None, took_ms=context.took_ms(started))
    text = _text(found, request.field)
    piece = cut_piece(request.field, text, request.offset, request.length)
    return EntryReply(log=None, piece=piece, took_ms=context.took_ms(started))


def cut_piece(field: str, text: str, offset: int, length: int) -> Piece:
    """The characters from `offset` on; raises FieldError beyond the end."""
    if offset > len(text):
        problem = f"{offset:,}, beyond the field's {len(text):,} characters"
        raise FieldError("offset", problem, hint="go on from next_offset")
    part = text[offset : offset + length]
    end = offset + len(part)
    following = end if end < len(text) else None
    return Piece(field, part, offset, len(part), len(text), following)


def _text(found: Located, field: str) -> str:
    """The field's text; what isn't text, as JSON."""
    try:
        renderer = Renderer([field])
    except FieldError as error:
        raise FieldError("field", error.problem, hint=error.hint) from None
    shown = msgspec.json.decode(found.row(renderer).json)
    if field.startswith(METADATA_PREFIX):
        shown, name = shown[METADATA], field[len(METADATA_PREFIX) :]
    else:
        name = field
    if name not in shown:
        raise FieldError("field", f"the entry has no {field}")
    value = shown[name]
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
