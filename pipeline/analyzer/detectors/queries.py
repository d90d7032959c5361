"""Filters of the query language that show the entries behind a finding; pure."""

from __future__ import annotations

import re
from typing import Final

from pipeline.analyzer.findings import EVERYWHERE
from pipeline.level import LEVEL_NAMES

VARIABLE: Final = "<*>"
"""Stands in a template for each token with a digit."""

_TOKEN: Final = r"[\w[:^ascii:]]+"  # noqa: S105 - a pattern of a token, no secret
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$/]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PATTERN_CHARACTERS: Final = 300


def quoted(text: str) -> str:
    """A text as the language has it in quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def of_source(source: str, level: int | None = None, *, only: bool = False) -> str:
    """Entries of a source (or EVERYWHERE), at a level and above, or `only` at it."""
    parts = [] if source == EVERYWHERE else [f"source:{quoted(source)}"]
    if level is not None:
        parts.append(f"level:{'' if only else '>='}{LEVEL_NAMES[level]}")
    return " ".join(parts) or "*"


def of_template(template: str) -> str:
    """Messages of a template, from their beginning: of a long one, the beginning only.

    A template without a fixed character gives the pattern of any message.
    """
    cut = template[:_PATTERN_CHARACTERS]
    # never through the middle of what stands for a variable
    for length in (2, 1):
        if len(template) > len(cut) and cut.endswith(VARIABLE[:length]):
            cut = cut[:-length]
    pieces = [_escaped(piece) for piece in cut.split(VARIABLE)]
    end = "$" if len(cut) == len(template) else ""
    return f"message:/^{_TOKEN.join(pieces)}{end}/"


def _escaped(text: str) -> str:
    escaped = _SPECIAL.sub(lambda found: "\\" + found[0], text)
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", escaped)


def of_path(shape: str) -> str:
    """Entries whose path has a shape, in which `*` stands for a variable segment."""
    if "*" not in shape:
        return f"metadata.path:={quoted(shape)}"
    pattern = "[^\\/?]+".join(_escaped(piece) for piece in shape.split("*"))
    return f"metadata.path:/^{pattern}(\\?.*)?$/"
