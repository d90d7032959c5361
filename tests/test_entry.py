"""The row's border: what is taken, what is refused, and how it is written."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import limits
from pipeline.entry import (
    LEVEL_NAMES,
    Entry,
    Level,
    cut_message,
    decode_id,
    encode_id,
    entry_from_map,
    entry_to_json,
    format_timestamp,
    parse_level,
    parse_timestamp,
)
from pipeline.errors import EntryError

NOW = 1_795_341_600_000_000_000
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
IDENTITIES = st.tuples(
    INT64, st.binary(min_size=16, max_size=16), st.integers(0, (1 << 64) - 1)
)


# Levels


@pytest.mark.parametrize(
    ("written", "level"),
    [
        ("INFO", Level.INFO),
        ("warning", Level.WARN),
        ("Warn", Level.WARN),
        (" wArNiNg ", Level.WARN),
        ("CRITICAL", Level.FATAL),
        ("emerg", Level.FATAL),
        ("panic", Level.FATAL),
        ("err", Level.ERROR),
        ("notice", Level.INFO),
        ("E", Level.ERROR),
        ("w", Level.WARN),
        (0, Level.FATAL),
        (3, Level.ERROR),
        (5, Level.INFO),
        (7, Level.DEBUG),
        (10, Level.TRACE),
        (30, Level.INFO),
        (35, Level.INFO),
        (60, Level.FATAL),
        ("50", Level.ERROR),
        ("3", Level.ERROR),
        (30.0, Level.INFO),
        (Level.ERROR, Level.ERROR),
        (Level.TRACE, Level.TRACE),
    ],
)
def test_level_aliases(written: object, level: Level) -> None:
    """Names in any case, syslog's and pino's numbers and our own levels are known."""
    assert parse_level(written) == level


@pytest.mark.parametrize("written", ["", "loud", 8, 9, 61, -1, True, None, [], 1.5])
def test_unknown_levels(written: object) -> None:
    """What is no level is None, never an error."""
    assert parse_level(written) is None


def test_every_number_has_a_name() -> None:
    """All 24 steps of OpenTelemetry's scale read as one of the six names."""
    assert sorted(LEVEL_NAMES) == list(range(1, 25))
    assert [LEVEL_NAMES[number] for number in (1, 8, 9, 12, 21, 24)] == [
        *("TRACE", "DEBUG", "INFO", "INFO", "FATAL", "FATAL")
    ]


# Times


@given(INT64)
def test_every_time_survives_its_text(ns: int) -> None:
    """Writing and reading gives the same nanosecond for all of int64."""
    assert parse_timestamp(format_timestamp(ns), NOW) == ns


@given(INT64)
def test_text_agrees_with_datetime(ns: int) -> None:
    """Seconds are those that the standard library writes."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ns // 10**9)

    assert format_timestamp(ns) == f"{moment:%Y-%m-%dT%H:%M:%S}.{ns % 10**9:09d}Z"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00.000000000Z"),
        ("2026-11-22 10:00:00", "2026-11-22T10:00:00.000000000Z"),
        ("2026-11-22 10:00:00,25", "2026-11-22T10:00:00.250000000Z"),
        ("2026-11-22T10:00:00.1234567891+02:00", "2026-11-22T08:00:00.123456789Z"),
        ("2026-11-22T10:00:00-0130", "2026-11-22T11:30:00.000000000Z"),
        ("20261122T100000Z", "2026-11-22T10:00:00.000000000Z"),
        ("2026-11-22T10:00", "2026-11-22T10:00:00.000000000Z"),
        ("2026-11-22", "2026-11-22T00:00:00.000000000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000000Z"),
        ("1900-02-28T00:00:00Z", "1900-02-28T00:00:00.000000000Z"),
        (1764000000, "2025-11-24T16:00:00.000000000Z"),
        (1764000000123, "2025-11-24T16:00:00.123000000Z"),
        (1764000000123456, "2025-11-24T16:00:00.123456000Z"),
        (1764000000123456789, "2025-11-24T16:00:00.123456789Z"),
        (1764000000.123456, "2025-11-24T16:00:00.123456000Z"),
        ("1764000000.123456789", "2025-11-24T16:00:00.123456789Z"),
        ("1764000000123", "2025-11-24T16:00:00.123000000Z"),
        (-1.5, "1969-12-31T23:59:58.500000000Z"),
        (
            datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=2))),
            "2026-11-22T10:00:00.000000000Z",
        ),
    ],
)
def test_times_as_they_are_written(written: object, text: str) -> None:
    """ISO 8601 in its usual spellings, and numbers of any unit, are understood."""
    assert format_timestamp(parse_timestamp(written, NOW)) == text


@pytest.mark.parametrize(
    "written",
    [
        *("", "yesterday", "2026-13-01", "2026-02-30T00:00:00Z", "2026-11-22T25:00:00"),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1" * 30, "9" * 5000),
        *("2026-11-22T10:61:00Z", math.nan, math.inf, "nan", "1e400", True, [], {}),
        *(10**400, -(1 << 63) - 1, 1 << 63, b"2026-11-22"),
    ],
)
def test_what_is_no_time(written: object) -> None:
    """Anything else is refused and the field is named."""
    with pytest.raises(EntryError) as caught:
        parse_timestamp(written, NOW)

    assert caught.value.field == "timestamp"


def test_text_without_a_zone_is_of_the_zone_given() -> None:
    """The zone argument counts for text that names none, summer time included."""
    zone = ZoneInfo("Europe/Berlin")

    summer = parse_timestamp("2026-07-01 12:00:00", NOW, zone)
    winter = parse_timestamp("2026-12-01 12:00:00", NOW, zone)
    named = parse_timestamp("2026-07-01 12:00:00Z", NOW, zone)

    assert format_timestamp(summer)[11:16] == "10:00"
    assert format_timestamp(winter)[11:16] == "11:00"
    assert format_timestamp(named)[11:16] == "12:00"


# Identities


@given(IDENTITIES)
def test_an_id_gives_its_parts_back(parts: tuple[int, bytes, int]) -> None:
    """Decoding an id is the inverse of encoding it."""
    assert decode_id(encode_id(*parts)) == parts


@given(IDENTITIES, IDENTITIES)
def test_ids_sort_as_their_parts(
    one: tuple[int, bytes, int], other: tuple[int, bytes, int]
) -> None:
    """Comparing ids as text compares (timestamp, producer, number)."""
    assert (encode_id(*one) < encode_id(*other)) == (one < other)


@pytest.mark.parametrize("text", ["", "-" * 42, "+" * 43, "é" * 43, "-" * 42 + "1"])
def test_what_is_no_id(text: str) -> None:
    """Wrong length, foreign characters and second spellings are refused."""
    with pytest.raises(EntryError):
        decode_id(text)


# Maps from outside


def test_a_full_map() -> None:
    """Every field is taken as it is."""
    entry = entry_from_map(
        {
            "timestamp": "2026-11-22T10:00:00Z",
            "source": "api",
            "level": "error",
            "message": "no",
            "metadata": {"user": 7},
            "tags": ["a"],
            "trace_id": "t",
        },
        NOW,
        strict=True,
    )

    assert entry == Entry(NOW, "api", 17, "no", {"user": 7}, ["a"], "t")


def test_a_small_map() -> None:
    """Only a message and a source are needed; the time is that of arrival."""
    entry = entry_from_map({"msg": "hello"}, NOW, "app")

    assert entry == Entry(NOW, "app", Level.INFO, "hello", {}, [], None)


def test_an_unknown_level_is_kept() -> None:
    """It is stored as INFO with the text that was given, and the map is not changed."""
    metadata = {"a": 1}
    entry = entry_from_map(
        {"message": "x", "level": "loud", "metadata": metadata}, 1, "s"
    )

    assert entry.level == Level.INFO
    assert entry.metadata == {"level_text": "loud", "a": 1}
    assert metadata == {"a": 1}


def test_unknown_keys_become_metadata() -> None:
    """Plain senders may add keys; a second name of a taken field is such a key."""
    entry = entry_from_map({"message": "x", "msg": "y", "user": 7}, NOW, "app")

    assert entry.message == "x"
    assert entry.metadata == {"msg": "y", "user": 7}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"usr": 1}, "usr"),
        ({"msg": "twice"}, "msg"),
    ],
)
def test_strict_maps_refuse_other_keys(change: dict[str, Any], field: str) -> None:
    """JSON-RPC names the key that it does not know."""
    with pytest.raises(EntryError) as caught:
        entry_from_map({"message": "x", **change}, NOW, "app", strict=True)

    assert caught.value.field == field


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"message": None}, "message"),
        ({"message": 5}, "message"),
        ({"message": "\ud800"}, "message"),
        ({"message": "x" * (limits.MESSAGE_BYTES + 1)}, "message"),
        ({"message": "ä" * (limits.MESSAGE_BYTES // 2 + 1)}, "message"),
        ({"source": ""}, "source"),
        ({"source": 5}, "source"),
        ({"source": "x" * 257}, "source"),
        ({"level": ["INFO"]}, "level"),
        ({"level": 10**5000}, "level"),
        ({"tags": "a"}, "tags"),
        ({"tags": ["a", 5]}, "tags.1"),
        ({"tags": ["a"] * 65}, "tags"),
        ({"trace_id": 5}, "trace_id"),
        ({"metadata": "a"}, "metadata"),
        ({"metadata": {1: 2}}, "metadata"),
        ({"metadata": {"\ud800": 2}}, "metadata"),
        ({"metadata": {"k" * 257: 2}}, "metadata"),
        ({"metadata": {"a": 1 << 64}}, "metadata.a"),
        ({"metadata": {"a": {"b": ["\ud800"]}}}, "metadata.a.b"),
        ({"metadata": {"a": object()}}, "metadata.a"),
        ({"metadata": {str(n): n for n in range(1025)}}, "metadata"),
        ({"metadata": {"a": "x" * limits.METADATA_BYTES}}, "metadata"),
        ({"user": 1, "metadata": {"user": 2}}, "user"),
    ],
)
def test_refusals_name_the_field(change: dict[str, Any], field: str) -> None:
    """A bad value is refused with its field; nothing is cut or guessed."""
    with pytest.raises(EntryError) as caught:
        entry_from_map({"message": "x", **change}, NOW, "app")

    assert caught.value.field == field


def test_limits_are_inclusive() -> None:
    """Exactly the largest message and the deepest metadata are taken."""
    message = "x" * limits.MESSAGE_BYTES
    entry = entry_from_map(
        {"message": message, "metadata": _nested(limits.NESTING)}, NOW, "app"
    )

    assert entry.message == message
    with pytest.raises(EntryError, match="nested too deep"):
        entry_from_map(
            {"message": "", "metadata": _nested(limits.NESTING + 1)}, NOW, "app"
        )


def test_hostile_depth_is_an_entry_error() -> None:
    """Nesting far beyond the limit is refused before it can exhaust the stack."""
    with pytest.raises(EntryError, match="nested too deep"):
        entry_from_map({"message": "", "metadata": _nested(100_000)}, NOW, "app")


# Replies


def test_an_entry_as_json() -> None:
    """Replies carry ISO time, the level's name, and null for no trace id."""
    entry = Entry(NOW, "api", 10, "no", None, None, None)

    assert entry_to_json(entry, "id") == {
        "id": "id",
        "timestamp": "2026-11-22T10:00:00.000000000Z",
        "source": "api",
        "level": "INFO",
        "message": "no",
        "metadata": {},
        "tags": [],
        "trace_id": None,
    }


def test_values_that_json_lacks() -> None:
    """NaN, infinities and bytes become text; the rest is as it was, however deep."""
    metadata = {
        "a": [math.nan, {"b": -math.inf, "c": math.inf}],
        "d": b"\xff",
        "e": 0.5,
    }
    reply = entry_to_json(Entry(NOW, "s", 9, "m", metadata, [], None), "id")

    assert reply["metadata"] == {
        "a": ["NaN", {"b": "-Infinity", "c": "Infinity"}],
        "d": "/w==",
        "e": 0.5,
    }
    json.dumps(reply, allow_nan=False)


def test_a_message_is_cut_between_characters() -> None:
    """What the limit allows is kept, and the bytes that are gone are told."""
    assert cut_message("short") == ("short", 0)
    kept, gone = cut_message("x" + "é" * (limits.MESSAGE_BYTES // 2))
    assert len(kept.encode()) == limits.MESSAGE_BYTES - 1
    assert gone == 2
