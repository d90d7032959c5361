"""How fields are called in pipes, and how such a name is written."""

from __future__ import annotations

import re
from typing import Final

from pipeline.query.conditions import quote
from pipeline.query.syntax import FIELDS, METADATA

_BARE_NAME: Final = re.compile(r"[^\W\d][\w.\-]*")
_RESERVED: Final = frozenset({"by", "as", "asc", "desc"})


def resolve_field(name: str) -> str:
    """The field that a name in a pipe stands for: a known one, or metadata."""
    if name == "tags":
        return "tag"
    return name if name in FIELDS or name.startswith(METADATA) else METADATA + name


def name_text(name: str) -> str:
    """A name as it is written in a pipe."""
    bare = _BARE_NAME.fullmatch(name) is not None and name not in _RESERVED
    return name if bare else quote(name)


def names_text(names: tuple[str, ...]) -> str:
    """Names as a list of them is written."""
    return ", ".join(map(name_text, names))
