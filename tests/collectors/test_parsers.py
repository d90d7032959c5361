"""JSON and logfmt lines of the usual loggers."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collectors.lines import Line, LineParser
from pipeline.collectors.parsers import fields_from_map, parse_json, parse_logfmt
from pipeline.entry import Entry, Level, entry_from_map, parse_timestamp

NOW = 1_795_341_600_000_000_000
STAMP = parse_timestamp("2026-11-21T09:08:07Z", 0)


def _entry(line: str, **options: Any) -> Entry:
    parser = LineParser("app", zone=UTC, **options)
    return parser.entry(Line(line.encode(), 0), NOW)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (  # pino
            '{"level":50,"time":1795252087000,"pid":7,"hostname":"h","msg":"hi"}',
            Entry(STAMP, "app", 17, "hi", {"pid": 7, "hostname": "h"}, [], None),
        ),
        (  # bunyan
            '{"name":"x","level":30,"msg":"hi","time":"2026-11-21T09:08:07Z","v":0}',
            Entry(STAMP, "app", 9, "hi", {"name": "x", "v": 0}, [], None),
        ),
        (  # zap
            '{"level":"warn","ts":1795252087.0,"caller":"a.go:1","msg":"hi"}',
            Entry(STAMP, "app", 13, "hi", {"caller": "a.go:1"}, [], None),
        ),
        (  # Logstash and ECS
            '{"@timestamp":"2026-11-21T09:08:07Z","log.level":"DEBUG","message":"hi",'
            '"trace.id":"t"}',
            Entry(STAMP, "app", 5, "hi", {}, [], "t"),
        ),
        (  # structlog
            '{"event":"hi","level":"info","timestamp":"2026-11-21 09:08:07","n":1.5}',
            Entry(STAMP, "app", 9, "hi", {"n": 1.5}, [], None),
        ),
        (  # journald
            '{"MESSAGE":"hi","PRIORITY":"3","__REALTIME_TIMESTAMP":"1795252087000000"}',
            Entry(STAMP, "app", 17, "hi", {}, [], None),
        ),
        (  # MongoDB
            '{"t":{"$date":"2026-11-21T09:08:07Z"},"s":"I","msg":"hi"}',
            Entry(STAMP, "app", 9, "hi", {"s": "I"}, [], None),
        ),
        (  # Docker around plain text
            '{"log":"[ERROR] hi\\n","stream":"stderr","time":"2026-11-21T09:08:07Z"}',
            Entry(STAMP, "app", 17, "[ERROR] hi", {"stream": "stderr"}, [], None),
        ),
        (  # Docker around JSON
            '{"log":"{\\"level\\":40,\\"msg\\":\\"hi\\"}\\n","stream":"stdout",'
            '"time":"2026-11-21T09:08:07Z"}',
            Entry(STAMP, "app", 13, "hi", {"stream": "stdout"}, [], None),
        ),
        (  # our own form
            '{"message":"hi","metadata":{"a":1},"tags":["x"],"trace_id":"t","b":2}',
            Entry(NOW, "app", 9, "hi", {"b": 2, "a": 1}, ["x"], "t"),
        ),
        (  # logfmt
            'time=2026-11-21T09:08:07Z level=error msg="not \\"ok\\"" n=5 d=1.50 '
            "ok=true",
            Entry(
                *(STAMP, "app", 17, 'not "ok"'),
                *({"n": 5, "d": "1.50", "ok": True}, [], None),
            ),
        ),
    ],
)
def test_loggers(line: str, expected: Entry) -> None:
    """The time, level and message of each logger are found; the rest is metadata."""
    assert _entry(line) == expected


def test_a_line_without_message_is_its_own() -> None:
    """The whole line is the message, and the fields can still be searched."""
    line = 'at=info method=GET path="/" status=200'
    entry = _entry(line)

    assert entry.message == line
    assert entry.metadata == {"at": "info", "method": "GET", "path": "/", "status": 200}


@pytest.mark.parametrize(
    "line",
    [
        *('{"a":1', "{}x", "{a: 1}", "[1, 2]", '"text"', "{" * 50_000, "[" * 50_000),
        '{"a":' * 50_000,
        '{"msg":"one","msg":"two"}',
        '{"msg":"x","n":1e400}{',
        '{"msg":"\\ud800"}',
        f'{{"msg":"x","n":{10**30}}}',
        f'{{"msg":"x","n":{"9" * 5000}}}',
        f'{{"msg":"x","a":{"[" * 40}{"]" * 40}}}',
        "a = b + c",
        "x=1 y=2",
        'level=info msg="open',
        "level=info and more words",
        "level=info level=warn",
    ],
)
def test_what_only_looks_structured_is_text(line: str) -> None:
    """Broken or unstorable lines are kept as they are, to the character."""
    entry = _entry(line)

    assert entry.message == line
    assert entry.metadata == {}


def test_an_unknown_level_is_kept() -> None:
    """It becomes metadata beside INFO."""
    entry = _entry('{"level":"loud","msg":"x"}')

    assert (entry.level, entry.metadata) == (Level.INFO, {"level_text": "loud"})


@pytest.mark.parametrize(
    ("line", "metadata"),
    [
        ('{"msg":"x","time":12}', {"time": 12}),
        ('{"msg":"x","time":"noon"}', {"time": "noon"}),
        ('{"msg":"x","level":["a"],"tags":"a"}', {"level": ["a"], "tags": "a"}),
        ('{"msg":"x","a":1,"metadata":{"a":2}}', {"a": 1, "metadata": {"a": 2}}),
        ('{"msg":"x","source":"y"}', {"source": "y"}),
    ],
)
def test_fields_of_another_meaning_stay(line: str, metadata: dict[str, Any]) -> None:
    """What can't be a time, a level or tags is nobody's but the program's."""
    entry = _entry(line)

    assert (entry.timestamp, entry.level) == (NOW, Level.INFO)
    assert entry.metadata == metadata


def test_local_times_in_json() -> None:
    """A time without a zone is one of the process's zone, as in plain text."""
    fields = fields_from_map(
        {"msg": "x", "time": "2026-11-21 10:08:07"}, "", NOW, ZoneInfo("Europe/Berlin")
    )

    assert fields["timestamp"] == STAMP


def test_the_format_can_be_told() -> None:
    """Told logfmt, bare words are keys; told plain, JSON is text."""
    assert _entry("debug a=1", form="logfmt").metadata == {"debug": True, "a": 1}
    assert _entry('{"msg":"x"}', form="plain").message == '{"msg":"x"}'
    assert _entry("level=info msg=x", form="json").message == "level=info msg=x"


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_any_object_is_read(data: dict[str, Any]) -> None:
    """A JSON line gives its object, and an entry that can be stored."""
    line = json.dumps(data)

    assert parse_json(line) == data
    entry = _entry(line)
    entry_from_map({"message": entry.message, "metadata": entry.metadata}, NOW, "app")


WORDS = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
VALUES = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.integers(-(10**17), 10**17),
    st.booleans(),
)


@given(st.dictionaries(WORDS, VALUES, min_size=1))
def test_logfmt_gives_back_what_was_written(fields: dict[str, Any]) -> None:
    """Quoted text, numbers and booleans survive."""
    line = " ".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in fields.items()
    )

    assert parse_logfmt(line, certain=True) == fields
