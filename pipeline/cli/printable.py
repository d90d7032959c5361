"""Text of entries as a terminal may get it: nothing that it obeys, and its width.

Whoever sends an entry chooses its bytes. Escape sequences, C1 controls, lone carriage
returns and what turns the direction of writing are shown by their code, wherever the
text goes: what is piped into `head` reaches a terminal too.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_INVISIBLE: Final = (
    "\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
"""Directions, separators and tags; not the joiners, without which scripts break."""

_OBEYED: Final = re.compile(f"[\0-\x08\x0b-\x1f\x7f-\x9f{_INVISIBLE}]")
_OBEYED_OR_BREAK: Final = re.compile(f"[\0-\x1f\x7f-\x9f{_INVISIBLE}]")
_SHORT: Final = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def on_one_line(text: str) -> str:
    """The text for a cell: line breaks and tabs are shown by their names too."""
    if text.isprintable():
        return text
    return _OBEYED_OR_BREAK.sub(_escape, text)


def on_lines(text: str) -> str:
    """The text with its line breaks and tabs; CRLF is one line break."""
    if text.isprintable():
        return text
    return _OBEYED.sub(_escape, text.replace("\r\n", "\n"))


def as_json(line: bytes) -> bytes:
    """JSON that means the same, with such characters escaped as JSON has it."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return _OBEYED.sub(_json_escape, line.decode("utf-8", "replace")).encode()


def width(text: str) -> int:
    """Columns that the text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """The text with blanks up to so many columns; `right`: the blanks go before it."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def cut(text: str, columns: int) -> str:
    """The text if it fits, else its beginning with an ellipsis."""
    if width(text) <= columns:
        return text
    used = 0
    for place, character in enumerate(text):
        used += _columns(character)
        if used > columns - 1:
            return text[:place] + "…"
    return text


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me") or character in "\u200c\u200d":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return _SHORT.get(found[0]) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    )


def _json_escape(found: re.Match[str]) -> str:
    encoded = found[0].encode("utf-16-be", "surrogatepass")
    pairs = (encoded[at : at + 2].hex() for at in range(0, len(encoded), 2))
    return "".join(f"\\u{pair}" for pair in pairs)
