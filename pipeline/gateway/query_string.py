"""Params of a query string: what JSON would have told apart is told by their names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import msgspec
from msgspec import Raw

from pipeline.gateway.errors import wrong_param
from pipeline.gateway.jsonrpc import nearest

_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class Names:
    """The params there are; those that are in no other group are text."""

    all: Sequence[str]
    lists: Collection[str] = ()
    """Repeated, or separated by commas."""
    numbers: Collection[str] = ()
    flags: Collection[str] = ()


def read_query(pairs: Sequence[tuple[str, str]], names: Names) -> dict[str, Raw]:
    """The params as JSON values; raises RpcError (-32602)."""
    given: dict[str, object] = {}
    for name, value in pairs:
        if name not in names.all:
            near = nearest(name, names.all)
            more = {"nearest": near} if near else {}
            raise wrong_param(name[:256], "unknown param", ", ".join(names.all), **more)
        if name in names.lists:
            items = [item.strip() for item in value.split(",") if item.strip()]
            before = given.get(name)
            given[name] = [*(before if isinstance(before, list) else ()), *items]
        elif name in given:
            raise wrong_param(name, "stands twice", "each param once")
        else:
            given[name] = _value(name, value, names)
    return {name: Raw(msgspec.json.encode(value)) for name, value in given.items()}


def write_query(params: dict[str, object], names: Names) -> str:
    """The query string that reads as these params; raises RpcError where none does."""
    pairs: list[tuple[str, str]] = []
    for name, value in params.items():
        for item in value if isinstance(value, list) else [value]:
            text = str(item).lower() if isinstance(item, bool) else str(item)
            if name in names.lists and ("," in text or text != text.strip()):
                problem = f"{text[:64]!r} can't stand in a query string"
                raise wrong_param(name, problem, "POST /export with the same params")
            pairs.append((name, text))
    return urlencode(pairs)


def _value(name: str, value: str, names: Names) -> object:
    if name in names.flags:
        if value.lower() not in _FLAGS:
            raise wrong_param(name, f"{value[:60]!r}", "true or false")
        return _FLAGS[value.lower()]
    if name in names.numbers:
        if not value.isascii() or not value.isdigit() or len(value) > _DIGITS:
            raise wrong_param(name, f"{value[:60]!r}", "a number")
        return int(value)
    return value
