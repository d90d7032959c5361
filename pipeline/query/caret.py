"""A position in a text, shown: the text around it, and a caret under it."""

from __future__ import annotations

import unicodedata
from typing import Final

WIDTH: Final = 72
"""Columns of both lines at most: a terminal has 80, and a prompt."""

_CUT: Final = "…"


def caret(text: str, position: int) -> str:
    """Two lines: the text, cut around the position if it is long, and a caret.

    Control characters, newlines among them, show as one blank each, and characters
    that take two columns are counted as two.
    """
    position = max(0, min(position, len(text)))
    start, before = _left(text, position, WIDTH // 2)
    end = _right(text, position, WIDTH - before - len(_CUT) * 2)
    head = _CUT if start > 0 else ""
    tail = _CUT if end < len(text) else ""
    shown = "".join(map(_shown, text[start:end]))
    return f"{head}{shown}{tail}\n{' ' * (len(head) + before)}^"


def _left(text: str, position: int, columns: int) -> tuple[int, int]:
    """Where the text begins, and the columns from there to the position."""
    used = 0
    for at in range(position - 1, -1, -1):
        width = _columns(text[at])
        if used + width > columns:
            return at + 1, used
        used += width
    return 0, used


def _right(text: str, position: int, columns: int) -> int:
    """Where the text ends, if it has that many columns from the position on."""
    used = 0
    for at in range(position, len(text)):
        used += _columns(text[at])
        if used > columns:
            return at
    return len(text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shown(character: str) -> str:
    # Cc, Cf (which turn the direction of writing), Cs, Co, Cn; line separators
    hidden = unicodedata.category(character)[0] == "C" or character in "\u2028\u2029"
    return " " if hidden else character
