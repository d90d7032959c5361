"""What the gateway replies, as the one who called reads it."""

from __future__ import annotations

import json

import pytest

from pipeline.mcp.replies import RetryError, ToolError, result_text

URL = "http://here:1"


def error_of(code, data=None, message="message"):
    """The text of an error reply."""
    error = {"code": code, "message": message, "data": data}
    with pytest.raises(ToolError) as raised:
        result_text(json.dumps({"error": error}).encode(), URL)
    return str(raised.value)


def test_a_result_is_passed_on_as_it_was_written():
    """Nothing is decoded that nobody reads."""
    body = b'{"jsonrpc":"2.0","id":1,"result":{"n":9007199254740993,"s":"\xc3\xa4"}}'

    assert result_text(body, URL) == '{"n":9007199254740993,"s":"ä"}'


def test_a_wrong_parameter_is_named_with_what_would_be_right():
    """So the next call can be right."""
    data = {
        "field": "group_by",
        "problem": "unknown 'minuet'",
        "expected": "source, level or hour",
        "nearest": "minute",
    }

    assert error_of(-32602, data) == (
        "group_by: unknown 'minuet'; expected source, level or hour;"
        " did you mean minute?"
    )


def test_a_place_in_the_search_text_is_given():
    """With what helps there."""
    data = {"field": "query", "problem": "no )", "position": 7, "hint": "quote it"}

    assert error_of(-32602, data) == "query: no ) at character 7; quote it"


def test_a_question_that_took_too_long_says_how_to_ask_for_less():
    """Instead of being asked again."""
    assert "shorter time" in error_of(-32002, {"problem": "30 s are over"})


def test_an_older_gateway_is_to_be_updated():
    """It doesn't know the tools."""
    assert "update it" in error_of(-32601, {"nearest": "get_stats"})


@pytest.mark.parametrize(
    ("code", "data", "seconds"),
    [(-32003, {"retry_after_ms": 250}, 0.25), (-32003, None, 1.0), (-32005, None, 0.0)],
)
def test_what_may_succeed_later_says_when(code, data, seconds):
    """A busy gateway, and a worker that ended."""
    body = json.dumps({"error": {"code": code, "message": "m", "data": data}}).encode()

    with pytest.raises(RetryError) as raised:
        result_text(body, URL)
    assert raised.value.after_seconds == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"error": "no"}'])
def test_what_is_no_gateway_is_said_to_be_none(body):
    """A wrong --url."""
    with pytest.raises(ToolError, match=r"not the gateway.*--url"):
        result_text(body, URL)


def test_an_error_is_one_short_line_without_control_characters():
    """It quotes what was asked."""
    text = error_of(-32602, {"problem": "a\x1b[31mb\n" + "c" * 5_000})

    assert len(text) == 1_000
    assert text.isprintable()
