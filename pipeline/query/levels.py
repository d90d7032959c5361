"""Levels as questions name them."""

from __future__ import annotations

from typing import Final

from pipeline.level import parse_level

_MISSPELT: Final = frozenset({"eror"})
"""Formatters of four characters log it, so it is taken in as ERROR; who asks for it has
mistyped, and is told instead of being understood in another way."""


def asked_level(value: object) -> int | None:
    """The level that a question means by a name or number; None if it is none."""
    if isinstance(value, str) and value.strip().lower() in _MISSPELT:
        return None
    return parse_level(value)
