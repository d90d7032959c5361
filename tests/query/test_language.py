"""The manual of the query language: each of its examples is as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.entry import Entry, parse_level
from pipeline.errors import QueryError
from pipeline.limits import (
    METADATA_BYTES,
    METADATA_KEY_BYTES,
    METADATA_KEYS,
    NESTING,
)
from pipeline.query import pipe_parser, pipes
from pipeline.query.derived import DERIVED_BYTES
from pipeline.query.names import NAMES_MAX
from pipeline.query.operands import PIPE_NAMES
from pipeline.query.parser import TERMS_MAX, parse, parse_query
from pipeline.query.pipe_parser import PIPES_MAX, ROWS_MAX
from pipeline.query.requests import QUERY_CHARACTERS
from pipeline.query.stage_parser import PLACES_MAX, PREFIX_CHARACTERS
from pipeline.query.syntax import FIELDS
from pipeline.timestamp import parse_timestamp
from tests.query.oracle import matches
from tests.query.staged import through
from tests.query.stores import Asker, append

MANUAL = Path(pipes.__file__).with_name("LANGUAGE.md").read_text()


def blocks(kind: str) -> list[str]:
    """The fenced blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", MANUAL, re.DOTALL | re.MULTILINE)


def lines(kind: str) -> list[str]:
    return [line for block in blocks(kind) for line in block.splitlines()]


def refused() -> Iterator[tuple[str, str]]:
    """Pairs of a text and what is shown under it."""
    found = lines("refused")
    yield from zip(found[::2], found[1::2], strict=True)


def matched() -> Iterator[tuple[Entry, list[tuple[str, bool]]]]:
    """An entry, and the texts that match it and those that don't."""
    for block in blocks("matches"):
        first, *rest = block.splitlines()
        yield entry_of(first), [(line[2:], line[0] == "+") for line in rest]


def entry_of(line: str) -> Entry:
    fields = {"source": "api", "level": "info", "message": "m", **json.loads(line)}
    return Entry(
        parse_timestamp(fields.get("timestamp", 0), 0),
        fields["source"],
        parse_level(fields["level"]),
        fields["message"],
        fields.get("metadata", {}),
        fields.get("tags", []),
        fields.get("trace_id"),
    )


@pytest.mark.parametrize("text", lines("query"))
def test_an_example_is_understood(text: str) -> None:
    """And printed back as what it means."""
    query = parse_query(text)

    assert query == parse_query(str(query))


@pytest.mark.parametrize(("text", "shown"), list(refused()))
def test_a_refusal_is_as_shown(text: str, shown: str) -> None:
    """With its caret, problem and hint."""
    with pytest.raises(QueryError) as caught:
        parse_query(text)

    error = caught.value
    assert shown == f"{' ' * (error.position or 0)}^ {error}"


@pytest.mark.parametrize(("entry", "texts"), list(matched()))
def test_an_example_matches_as_shown(
    tmp_path: Path, entry: Entry, texts: list[tuple[str, bool]]
) -> None:
    """In the store as for the oracle."""
    append(tmp_path / "logs.db", [[(0, [entry])]])
    asker = Asker(tmp_path / "logs.db")
    for text, wanted in texts:
        assert wanted == matches(entry, parse(text)), text
        assert wanted == (asker.ask("query", q=text)["count"] == 1), text


def read() -> Iterator[tuple[Entry, str, dict[str, Any] | None]]:
    """An entry, a text, and the metadata that the entry has behind it, if it is kept"""
    for block in blocks("reads"):
        first, *rest = block.splitlines()
        for text, shown in zip(rest[::2], rest[1::2], strict=True):
            yield entry_of(first), text, json.loads(shown[1:]) if shown[1:] else None


@pytest.mark.parametrize(("entry", "text", "shown"), list(read()))
def test_an_example_reads_as_shown(
    tmp_path: Path, entry: Entry, text: str, shown: dict[str, Any] | None
) -> None:
    """In the store as for the oracle."""
    append(tmp_path / "logs.db", [[(0, [entry])]])
    found = through(entry, parse_query(text).stages)
    logs = Asker(tmp_path / "logs.db").ask("query", q=text)["logs"]

    assert shown == (None if found is None else found.metadata)
    assert ([] if shown is None else [shown]) == [log["metadata"] for log in logs]


def test_everything_is_in_the_manual() -> None:
    """Each pipe, function and field."""
    for name in (*PIPE_NAMES, *pipe_parser.FUNCTIONS, *FIELDS):
        assert f"`{name}" in MANUAL


def test_limits_are_in_the_manual() -> None:
    """As they are in the code."""
    limits = (QUERY_CHARACTERS, TERMS_MAX, NESTING, PIPES_MAX, NAMES_MAX, ROWS_MAX)
    read = (PLACES_MAX, PREFIX_CHARACTERS, METADATA_KEYS, METADATA_KEY_BYTES)
    for limit in (*limits, *read, METADATA_BYTES, DERIVED_BYTES >> 20):
        assert f"{limit:,}" in MANUAL.partition("## Limits")[2]
