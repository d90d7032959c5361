"""The settings as a flat list of keys, and the check of one value against its key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from pipeline.errors import ConfigError
from pipeline.settings.model import Settings

TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class Key:
    """One leaf of the settings, such as `server.port`."""

    path: str
    default: Any
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    example: str | None = None

    def expected(self) -> str:
        """What would be right, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, tuple):
            return "a list of texts, like " + repr(list(self.default))
        if isinstance(self.default, str):
            return f"a text, like {self.example or self.default}"
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} {self._range()}, like {self.default}"

    def _range(self) -> str:
        if self.maximum is None:
            return f"from {self.minimum} up"
        return f"from {self.minimum} to {self.maximum}"


def _walk(cls: type, prefix: str) -> Iterator[tuple[str, Key | type]]:
    for item in fields(cls):
        path = prefix + item.name
        if item.metadata:
            yield path, Key(path=path, default=item.default, **item.metadata)
        else:
            section = item.default_factory
            assert isinstance(section, type)
            yield path, section
            yield from _walk(section, path + ".")


@cache
def keys() -> dict[str, Key]:
    """Every leaf by its path, in the order of the model."""
    return {path: k for path, k in _walk(Settings, "") if isinstance(k, Key)}


@cache
def sections() -> dict[str, type]:
    """Every section by its path, in the order of the model."""
    return {path: c for path, c in _walk(Settings, "") if isinstance(c, type)}


def unknown(path: str, origin: str) -> ConfigError:
    """The error for a key that doesn't exist, with the nearest one that does."""
    return ConfigError(path, f"unknown key ({origin})", _nearest(path))


def _nearest(path: str) -> str:
    """The key of the same section with a like name; else one anywhere; else all."""
    from difflib import get_close_matches

    known = [*sections(), *keys()]
    section, _, name = path.rpartition(".")
    inside = {k.rpartition(".")[2]: k for k in known if k.rpartition(".")[0] == section}
    anywhere = {k.rpartition(".")[2]: k for k in reversed(known)}
    for candidates in (inside, anywhere):
        if near := get_close_matches(name, candidates, n=1):
            return candidates[near[0]]
    return "one of " + ", ".join(inside.values() or sections())


def check(key: Key, value: object, origin: str) -> object:
    """`value` in the key's type; ConfigError: another type, or out of bounds."""
    if isinstance(key.default, tuple):
        if not isinstance(value, list | tuple):
            raise _wrong(key, value, origin)
        for item in value:
            if not isinstance(item, str):
                raise _wrong(key, item, origin)
        return tuple(value)
    if isinstance(key.default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(key.default) or not _within(key, value):
        raise _wrong(key, value, origin)
    return value


def _within(key: Key, value: Any) -> bool:
    if isinstance(value, str):
        known = not key.choices or value in key.choices
        return known and re.search(key.pattern or "", value) is not None
    above = key.minimum is None or value >= key.minimum
    return above and (key.maximum is None or value <= key.maximum)


KINDS = {
    bool: "a truth value",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a section",
    type(None): "empty",
}


def _wrong(key: Key, value: object, origin: str) -> ConfigError:
    shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."
    if value is None:
        shown = "nothing"
    elif type(value) is not type(key.default):
        shown += " is " + KINDS.get(type(value), type(value).__name__)
    else:
        shown += " is not allowed"
    return ConfigError(key.path, f"{shown} ({origin})", key.expected())


def parse(key: Key, text: str, origin: str) -> object:
    """A value given as text (environment, flag), read by the type of its key."""
    return check(key, _from_text(key.default, text.strip()), origin)


def _from_text(like: object, text: str) -> object:
    """`text` in the type of `like`; left as text when it doesn't look like one."""
    if isinstance(like, bool):
        lower = text.lower()
        return lower in TRUE if lower in TRUE | FALSE else text
    if isinstance(like, tuple):
        return [item.strip() for item in text.split(",") if item.strip()]
    if isinstance(like, int | float):
        try:
            return type(like)(text)
        except ValueError:
            return text
    return text
