"""Stages one entry at a time: slow, plain and independent of the engine's."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pipeline.entry import Entry
from pipeline.query.pipes import resolve_field
from pipeline.query.stages import Extract, Extraction, Json, Stage, Where
from tests.query.oracle import Stored, lookup, matches

NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?")


def refuse(text: str) -> Any:
    raise ValueError(text)


def read_object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=refuse)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_pairs(text: str) -> dict[str, Any]:
    """A character at a time."""
    found: dict[str, Any] = {}
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        end = at
        while end < len(text) and text[end] not in '="' and not text[end].isspace():
            end += 1
        key, is_pair = text[at:end], text[end : end + 1] == "=" and end > at
        value, after = read_value(text, end + 1) if is_pair else ("", end)
        while not is_pair and after < len(text) and not text[after].isspace():
            after += 1
        if is_pair:
            found[key] = value
        at = after
    return found


def read_value(text: str, at: int) -> tuple[Any, int]:
    """What stands behind `=`, and where it ends."""
    if text[at : at + 1] == '"':
        value, place = "", at + 1
        while place < len(text) and text[place] != '"':
            if text[place] == "\\" and place + 1 < len(text):
                place += 1
                value += {"n": "\n", "t": "\t", "r": "\r"}.get(text[place], text[place])
            else:
                value += text[place]
            place += 1
        ends = place + 1 >= len(text) or text[place + 1].isspace()
        if place < len(text) and ends:
            return value, place + 1
    end = at
    while end < len(text) and not text[end].isspace():
        end += 1
    return typed(text[at:end]), end


def typed(text: str) -> Any:
    found = NUMBER.fullmatch(text)
    if found is None:
        return text
    return int(text) if found[2] is None else float(text)


def read_pattern(stage: Extract, text: str) -> dict[str, Any]:
    first, *rest = stage.parts
    _, found, text = text.partition(first) if first else ("", " ", text)
    values: dict[str, Any] = {}
    while rest and found:
        name, literal, *rest = rest
        value, found, text = text.partition(literal) if literal else (text, " ", "")
        values[name] = typed(value)
    values.pop("_", None)
    return values if found else {}


def fields_of(stage: Extraction, text: str) -> dict[str, Any]:
    if isinstance(stage, Extract):
        return read_pattern(stage, text)
    found = read_object(text) if isinstance(stage, Json) else read_pairs(text)
    if stage.names:
        inside = {name: list(lookup(found, name)) for name in stage.names}
        found = {name: values[0] for name, values in inside.items() if values}
    return {stage.prefix + name: value for name, value in found.items()}


def text_of(entry: Entry, field: str) -> Any:
    if field in ("message", "source", "trace_id"):
        return getattr(entry, field)
    found = list(lookup(entry.metadata or {}, field.removeprefix("metadata.")))
    return found[0] if found else None


def through(entry: Entry, stages: Sequence[Stage]) -> Entry | None:
    """The entry with all that is read; None where a condition leaves it out."""
    for stage in stages:
        if isinstance(stage, Where):
            if not matches(entry, stage.condition):
                return None
            continue
        text = text_of(entry, resolve_field(stage.field))
        if isinstance(text, str):
            metadata = {**(entry.metadata or {}), **fields_of(stage, text)}
            entry = entry._replace(metadata=metadata)
    return entry


def all_through(stored: Sequence[Stored], stages: Sequence[Stage]) -> list[Stored]:
    """Those that every condition keeps, in their order."""
    pairs = [(row, through(row.entry, stages)) for row in stored]
    return [row._replace(entry=entry) for row, entry in pairs if entry is not None]
