"""The settings as a flat list of keys, and the check of one value against its key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields
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
    required: bool = False
    name: str = ""
    """In a file, where it isn't the attribute's."""

    section: type | None = None
    """Of each item, when the value is a list of sections."""

    texts: bool = False
    """Whether such a list may have texts too."""

    secret: bool = False
    """Whether no error may show what was given."""

    flaw: Callable[[str], tuple[str, str] | None] | None = None
    """What is wrong with a text, and what would be right; beyond what a pattern can."""

    def expected(self) -> str:
        """What would be right, in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, dict):
            return "a section, like {name: value}"
        if isinstance(self.default, tuple):
            return self._list()
        if isinstance(self.default, str):
            most = f" of at most {self.maximum} bytes" if self.maximum else ""
            return f"a text{most}, like {self.example or self.default}"
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} {self._range()}, like {self.default}"

    def _list(self) -> str:
        if self.section is not None:
            kinds = "sections or texts" if self.texts else "sections"
            return f"a list of {kinds}, each begun by a dash"
        example = [self.example] if self.example else list(self.default)
        most = f" of at most {self.maximum} bytes" if self.maximum else ""
        return f"a list of texts{most}" + (f", like {example}" if example else "")

    def _range(self) -> str:
        if self.maximum is None:
            return f"from {self.minimum} up"
        return f"from {self.minimum} to {self.maximum}"


def _walk(cls: type, prefix: str) -> Iterator[tuple[str, Key | type]]:
    for item in fields(cls):
        path = prefix + item.metadata.get("name", item.name)
        if item.metadata:
            make = item.default_factory
            default = item.default if make is MISSING else make()
            yield path, Key(path=path, default=default, **item.metadata)
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


def keys_of(section: type, prefix: str) -> dict[str, Key]:
    """The leaves of one item of a list of sections, by their paths."""
    return {path: k for path, k in _walk(section, prefix) if isinstance(k, Key)}


def unknown(path: str, origin: str, *others: str) -> ConfigError:
    """The error for a key that doesn't exist, with the nearest one that does.

    `others` exist beside those that always do.
    """
    nearest = _nearest(path, [*sections(), *keys(), *others])
    return ConfigError(path, f"unknown key ({origin})", nearest)


def _nearest(path: str, known: list[str]) -> str:
    """The key of the same section with a like name; else one anywhere; else all."""
    from difflib import get_close_matches

    section, _, name = path.rpartition(".")
    inside = {k.rpartition(".")[2]: k for k in known if k.rpartition(".")[0] == section}
    anywhere = {k.rpartition(".")[2]: k for k in reversed(known)}
    for candidates in (inside, anywhere):
        if near := get_close_matches(name, candidates, n=1):
            return candidates[near[0]]
    return "one of " + ", ".join(inside.values() or sections())


def check(
    key: Key,
    value: object,
    origin: str,
    place: Callable[[str], str] | None = None,
    more: list[ConfigError] | None = None,
) -> object:
    """`value` in the key's type; ConfigError: another type, or out of bounds.

    `place` is the origin of each key below, where value is a list of sections; what is
    wrong there beside what is raised goes to `more`.
    """
    if isinstance(key.default, tuple):
        errors: list[ConfigError] = []
        found = _list(key, value, origin, place or (lambda _: origin), errors)
        if errors:
            if more is not None:
                more += errors[1:]
            raise errors[0]
        return found
    if isinstance(key.default, dict):
        if not isinstance(value, dict) or not all(isinstance(k, str) for k in value):
            raise _wrong(key, value, origin)
        return value
    if isinstance(key.default, str) and hasattr(value, "isoformat"):
        value = value.isoformat()  # YAML reads a time as one
    if isinstance(key.default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(key.default) or not _within(key, value):
        raise _wrong(key, value, origin)
    flaw = key.flaw(value) if key.flaw is not None and isinstance(value, str) else None
    if flaw is not None:
        raise ConfigError(key.path, f"{flaw[0]} ({origin})", flaw[1])
    return value


def _list(
    key: Key,
    value: object,
    origin: str,
    place: Callable[[str], str],
    errors: list[ConfigError],
) -> tuple[object, ...]:
    """Texts, or sections as objects of their class."""
    if not isinstance(value, list | tuple) or (key.required and not value):
        raise _wrong(key, value, origin, list)
    if key.section is not None:
        return tuple(_item(key, *item, place, errors) for item in enumerate(value))
    errors += (
        _wrong(key, item, origin, str)
        for item in value
        if not isinstance(item, str) or not _within(key, item)
    )
    return tuple(value)


def _item(
    key: Key,
    number: int,
    data: object,
    place: Callable[[str], str],
    errors: list[ConfigError],
) -> Any:
    """One section of a list, as an object of its class; None if something is wrong."""
    section = key.section
    assert section is not None
    if key.texts and isinstance(data, str):
        return data
    path = f"{key.path}[{number}]"
    if not isinstance(data, dict):
        kinds = "neither a text nor" if key.texts else "not"
        problem = f"{data!r} is {kinds} a section ({place(path)})"
        errors.append(ConfigError(path, problem, "keys below it, indented"))
        return None
    before = len(errors)
    known = keys_of(section, path + ".")
    for name in data:
        if f"{path}.{name}" not in known:
            inner = f"{path}.{name}"
            errors.append(unknown(inner, place(inner), *known))
    values: dict[str, object] = {}
    for (inner, leaf), item in zip(known.items(), fields(section), strict=True):
        name = inner.removeprefix(path + ".")
        try:
            if name in data:
                values[item.name] = check(leaf, data[name], place(inner))
            elif leaf.required:
                problem = f"is missing ({place(path)})"
                errors.append(ConfigError(inner, problem, leaf.expected()))
        except ConfigError as error:
            errors.append(error)
    return section(**values) if len(errors) == before else None


def _within(key: Key, value: Any) -> bool:
    if isinstance(value, str):
        known = not key.choices or value in key.choices
        if key.maximum is not None and len(value.encode()) > key.maximum:
            return False
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


def _wrong(
    key: Key, value: object, origin: str, kind: type | None = None
) -> ConfigError:
    """Of another kind than the default's, or of the right one and not allowed."""
    shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."
    if value is None:
        shown = "nothing"
    elif key.secret:
        shown = "what is given is not allowed"
    elif type(value) is not (kind or type(key.default)):
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
