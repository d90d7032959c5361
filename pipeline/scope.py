"""What a token may see: sources by their names, and fields that it must not see.

Pure; the gateway sends a scope with each question, and the store's reader obeys it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct

PATTERNS_MAX: Final = 100
"""Patterns of one list."""

PATTERN_CHARACTERS: Final = 256
ALWAYS_SEEN: Final = frozenset({"id", "timestamp", "source", "level", "message"})
"""Fields without which an entry is none."""

_PREFIX: Final = "metadata."
_OTHER_NAMES: Final = {"tag": "tags"}


class Scope(Struct, frozen=True):
    """`*` stands for any text in all of them; no source means every source."""

    sources: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    """Keys of the metadata (`card`, `user.email`), with all that is under them;
    `tags`, `trace_id`."""

    @property
    def is_everything(self) -> bool:
        """Whether it leaves nothing out."""
        return not self.sources and not self.hidden

    def allows(self, source: str) -> bool:
        """Whether entries of the source may be seen."""
        return not self.sources or bool(_sources(self.sources).fullmatch(source))

    def hides(self, field: str) -> bool:
        """Whether the field must not be seen: `trace_id`, or a path in the metadata."""
        return bool(self.hidden and _fields(self.hidden).fullmatch(field))

    def shown(self, metadata: dict[str, Any], above: str = "") -> dict[str, Any]:
        """The map without its hidden keys, at any depth; `above` is its own path."""
        return {
            key: self.value(value, f"{above}{key}")
            for key, value in metadata.items()
            if not self.hides(f"{above}{key}")
        }

    def value(self, value: Any, path: str | None) -> Any:
        """What is shown of a value at this path; None: it is all the metadata."""
        if isinstance(value, dict):
            return self.shown(value, "" if path is None else f"{path}.")
        if isinstance(value, list):
            return [self.value(each, path) for each in value]
        return value


EVERYTHING: Final = Scope()


def make_scope(sources: list[str], hidden: list[str]) -> Scope:
    """A scope as people write it; raises ValueError that says what would be right."""
    names = tuple(_OTHER_NAMES.get(n, n.removeprefix(_PREFIX)) for n in hidden)
    for kind, patterns in (("source", sources), ("hidden field", names)):
        if len(patterns) > PATTERNS_MAX:
            raise ValueError(f"{len(patterns)} {kind}s; {PATTERNS_MAX} at most")
        for pattern in patterns:
            if not 0 < len(pattern) <= PATTERN_CHARACTERS:
                problem = f"{kind} of {len(pattern)} characters"
                raise ValueError(f"{problem}; 1 to {PATTERN_CHARACTERS}")
    for written, name in zip(hidden, names, strict=True):
        if name in ALWAYS_SEEN and not written.startswith(_PREFIX):
            raise ValueError(f"{name} can't be hidden; keys of the metadata can")
    return Scope(tuple(sources), names)


@lru_cache(maxsize=256)
def _sources(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_any_text, patterns)), re.DOTALL)


@lru_cache(maxsize=256)
def _fields(patterns: tuple[str, ...]) -> re.Pattern[str]:
    # what is written in another case is the same secret
    whole = "|".join(map(_any_text, patterns))
    return re.compile(rf"(?:{whole})(?:\..*)?", re.DOTALL | re.IGNORECASE)


def _any_text(pattern: str) -> str:
    return ".*".join(map(re.escape, re.split(r"\*+", pattern)))
