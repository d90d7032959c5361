"""Files made from the model: the JSON schema and the listing of the defaults."""

from __future__ import annotations

import json
from itertools import chain, repeat
from typing import Any

from pipeline.settings.keys import Key, keys, keys_of, sections
from pipeline.settings.model import Settings

LISTING = """\
# Every setting with its default, made from pipeline/settings/model.py by `make config`.
# The defaults hold without this file; a file of yours, given with --config, needs only
# the keys that differ. The environment comes after it (PIPELINE_SERVER__PORT=9000:
# section, two underscores, key), then flags (--host, --port).
"""

TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


def schema() -> str:
    """The JSON schema (draft 2020-12) of a configuration file."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of the Recursive Log Pipeline",
    }
    root = head | _section(Settings.__doc__, "")
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def _section(meaning: str | None, prefix: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for path, key in keys().items():
        name = path.removeprefix(prefix)
        if not path.startswith(prefix):
            continue
        head, _, rest = name.partition(".")
        if not rest:
            properties[name] = _leaf(key)
        elif head not in properties:
            section = prefix + head
            properties[head] = _section(sections()[section].__doc__, section + ".")
    return {
        "description": meaning,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _leaf(key: Key) -> dict[str, Any]:
    leaf: dict[str, Any] = {"description": key.meaning}
    if isinstance(key.default, dict):
        return leaf | {"type": "object", "default": {}}
    if isinstance(key.default, tuple):
        items: dict[str, Any] = {"type": "string"}
        items |= {"pattern": key.pattern} if key.pattern else {}
        if key.section:
            section = _item(key.section)
            items = {"anyOf": [items, section]} if key.texts else section
        leaf |= {"type": "array", "items": items}
        leaf |= {"minItems": 1} if key.required else {}
        return leaf | {"default": list(key.default)}
    leaf["type"] = TYPES[type(key.default)]
    maximum = None if isinstance(key.default, str) else key.maximum
    bounds = {"minimum": key.minimum, "maximum": maximum, "pattern": key.pattern}
    leaf |= {name: bound for name, bound in bounds.items() if bound is not None}
    if key.choices:
        leaf["enum"] = list(key.choices)
    return leaf | {"default": key.default}


def _item(section: type) -> dict[str, Any]:
    """One section of a list."""
    inner = keys_of(section, "")
    return {
        "description": section.__doc__,
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, key in inner.items() if key.required],
        "properties": {name: _leaf(key) for name, key in inner.items()},
    }


def listing() -> str:
    """`config/default.yaml`: every key with its default, under its meaning."""
    lines = [LISTING.rstrip()]
    opened: list[str] = []
    for path, key in keys().items():
        *parents, name = path.split(".")
        for depth in range(1, len(parents) + 1):
            if opened[:depth] != parents[:depth]:
                section = ".".join(parents[:depth])
                lines += _opening(sections()[section].__doc__, depth - 1)
                lines.append("  " * (depth - 1) + parents[depth - 1] + ":")
                opened = parents[:depth]
        opened = parents
        indent = "  " * len(parents)
        lines.append(f"{indent}{name}: {_scalar(key)}  # {_remark(key)}")
        if key.section is not None:
            lines += [f"{indent}# {line}" for line in _example(key.section)]
    return "\n".join(lines) + "\n"


def _opening(meaning: str | None, depth: int) -> list[str]:
    return ([""] if depth == 0 else []) + [f"{'  ' * depth}# {meaning}"]


def _example(section: type) -> list[str]:
    """The keys of one section of a list, to be seen but not set."""
    dashes = chain("-", repeat(" "))
    return [
        f"{dash} {name}: {_scalar(key)}  # {_remark(key)}"
        for dash, (name, key) in zip(dashes, keys_of(section, "").items(), strict=False)
    ]


def _scalar(key: Key) -> str:
    if isinstance(key.default, tuple):
        items = key.default or ((key.example,) if key.required else ())
        return json.dumps(list(items)) if key.pattern else f"[{', '.join(items)}]"
    return json.dumps(key.default or (key.required and key.example) or key.default)


def _remark(key: Key) -> str:
    return key.meaning + (f" {' | '.join(key.choices)}" if key.choices else "")
