"""Cursors of the tools: where a reply ended, of which question, and what it saw.

They are the engine's cursors: the commit up to which the first reply looked, its
window, and a place. So what comes in between two replies shifts nothing, and the
numbers of all replies are of the same entries.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

import msgspec
from msgspec import Struct

from pipeline.query.cursor import Cursor, Key, decode_cursor, encode_cursor
from pipeline.query.requests import FieldError
from pipeline.tools.snapshot import Snapshot, Window

_FREE: Final = frozenset({"cursor", "max_tokens", "context"})
"""Parameters that may change from reply to reply."""

_NO_CURSOR: Final = "not a cursor"


def question(tool: str, request: Struct) -> int:
    """A number that tells one question of a tool from another."""
    names = [name for name in request.__struct_fields__ if name not in _FREE]
    asked = [(name, getattr(request, name)) for name in names]
    return crc32(msgspec.json.encode([tool, asked]))


def resumed(text: str | None, asked: int) -> Cursor | None:
    """What a cursor says of that question; raises FieldError."""
    if text is None:
        return None
    try:
        return decode_cursor(text, asked)
    except FieldError as error:
        if error.problem == _NO_CURSOR:
            problem = f"{text[:64]!r} is no cursor"
            hint = "give `cursor` of the reply before as it came, or none"
        else:
            problem = "this cursor is of another question"
            hint = "repeat the parameters of the reply before, or leave cursor out"
        raise FieldError("cursor", problem, hint=hint) from None


def window_of(cursor: Cursor) -> Window:
    """The window of the first reply."""
    return {"since": cursor.low, "until": cursor.high}


def cursor_after(
    asked: int,
    snapshot: Snapshot,
    window: Window,
    key: Key,
    total: int | None = None,
) -> str:
    """The cursor that goes on behind the entry with this key."""
    low, high = window["since"], window["until"]
    return encode_cursor(Cursor(asked, snapshot.mark, key, low, high, total))


def cursor_at(asked: int, snapshot: Snapshot, window: Window, place: int) -> str:
    """The cursor that goes on at a place of a list."""
    return cursor_after(asked, snapshot, window, (0, bytes(16), place))


def place_of(cursor: Cursor | None) -> int:
    """The place in a list where a reply begins."""
    return 0 if cursor is None else cursor.key[2]
