"""The settings in force, as a configuration file that says where each came from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from pipeline.settings.keys import Key, keys, keys_of
from pipeline.settings.load import Survey
from pipeline.settings.model import Settings

MASKED: Final = "***"
_REFERENCE: Final = re.compile(r"\$\{\w+\}|^file:")
"""A secret that stands elsewhere: its name is none."""


def value_of(settings: Settings, path: str) -> Any:
    """What a key is set to."""
    found: Any = settings
    for name in path.split("."):
        found = getattr(found, name)
    return found


def plain(key: Key, value: Any) -> Any:
    """The value as JSON has it, secrets masked."""
    if key.section is not None:
        return [_item(key.section, item) for item in value]
    if key.secret:
        return _masked(value)
    return list(value) if isinstance(value, tuple) else value


def _item(section: type, item: Any) -> Any:
    if not is_dataclass(item):
        return item
    found = {}
    pairs = zip(keys_of(section, "").items(), fields(item), strict=True)
    for (name, key), field in pairs:
        value = getattr(item, field.name)
        if value != key.default:
            found[name] = plain(key, value)
    return found


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _masked(each) for name, each in value.items()}
    if isinstance(value, str) and value and not _REFERENCE.search(value):
        return MASKED
    return value


def effective(found: Survey, *, every: bool = True) -> dict[str, tuple[Any, str]]:
    """Each key with its value and origin; `every`: those with their default too.

    Raises ConfigError, the first of the survey's.
    """
    settings = found.settings
    return {
        path: (plain(key, value_of(settings, path)), found.origins.get(path, "default"))
        for path, key in keys().items()
        if every or path in found.origins
    }


def written(values: Mapping[str, tuple[Any, str]]) -> str:
    """As YAML that can be loaded again, each key with its origin behind it."""
    lines: list[str] = []
    opened: list[str] = []
    for path, (value, origin) in values.items():
        *parents, name = path.split(".")
        shared = 0
        while shared < min(len(opened), len(parents)) and (
            opened[shared] == parents[shared]
        ):
            shared += 1
        lines += ("  " * n + parents[n] + ":" for n in range(shared, len(parents)))
        opened = parents
        text = json.dumps(value, ensure_ascii=False)
        lines.append(f"{'  ' * len(parents)}{name}: {text}  # {origin}")
    return "\n".join(lines) + "\n" if lines else ""
