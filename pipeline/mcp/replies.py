"""A reply of the gateway as what its reader gets: the result's text, or what to do.

The reader is a program that can ask again in another way, so each error says what to
change, in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

INVALID_PARAMS: Final = -32602
METHOD_NOT_FOUND: Final = -32601
TOO_COSTLY: Final = -32002
BUSY: Final = -32003
WORKER_ENDED: Final = -32005

ERROR_CHARACTERS: Final = 1_000
"""An error quotes what was asked, which may be long."""

_NARROWER: Final = "ask for a shorter time, for fewer sources or for rarer words"


class ToolError(Exception):
    """A call that has no result; the text is for the one who called."""


class RetryError(Exception):
    """The same question may be answered after so many seconds."""

    def __init__(self, after_seconds: float, problem: ToolError) -> None:
        super().__init__(after_seconds, problem)
        self.after_seconds = after_seconds
        self.problem = problem


def result_text(body: bytes, url: str) -> str:
    """The result as the JSON text that it was.

    Raises ToolError when the gateway refused, RetryError when it may answer later.
    """
    try:
        reply = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if "result" in reply:
            return bytes(reply["result"]).decode()
        error = msgspec.json.decode(reply["error"], type=dict[str, Any])
        code, message = int(error["code"]), str(error["message"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        raise ToolError(not_a_gateway(url)) from None
    data = error.get("data")
    raise _problem(code, message, data if isinstance(data, dict) else {})


def not_a_gateway(url: str) -> str:
    """That something else answers there."""
    return (
        f"What answers at {url} is not the gateway of the log pipeline: start"
        " `pipeline mcp` with --url and the gateway's address."
    )


def unknown(url: str, status: int) -> str:
    """That the gateway answers nobody without a token, or not this one."""
    return shortened(
        f"The gateway at {url} refuses this caller ({status}): start `pipeline mcp`"
        " with the environment's PIPELINE_TOKEN set to a token that may read logs."
    )


def unreachable(url: str, why: str) -> str:
    """That nothing answers, and what makes it answer."""
    return shortened(
        f"The log pipeline does not answer at {url} ({why}): start it with"
        " `pipeline up`, then call again. Nothing has to be restarted here."
    )


def late(seconds: float) -> str:
    """That the answer took too long."""
    return f"No answer within {seconds:g} s: {_NARROWER}."


def shortened(text: str) -> str:
    """On one line of printable characters, and not too long."""
    line = "".join(each if each.isprintable() else " " for each in text)
    if len(line) <= ERROR_CHARACTERS:
        return line
    return line[: ERROR_CHARACTERS - 1] + "…"


def _problem(code: int, message: str, data: Mapping[str, Any]) -> Exception:
    error = ToolError(shortened(_text(code, message, data)))
    if code == BUSY:
        after = data.get("retry_after_ms")
        return RetryError(after / 1000 if isinstance(after, int) else 1.0, error)
    if code == WORKER_ENDED:
        return RetryError(0.0, error)
    return error


def _text(code: int, message: str, data: Mapping[str, Any]) -> str:
    problem = str(data.get("problem") or message)
    if code == INVALID_PARAMS:
        return _refused(problem, data)
    if code == METHOD_NOT_FOUND:
        return (
            "The gateway is of another version and has no such tool: update it and"
            " restart the pipeline."
        )
    if code == TOO_COSTLY:
        return f"{problem}: {data.get('hint') or _NARROWER}."
    if code == BUSY:
        return f"The log pipeline is busy ({problem}): call again in some seconds."
    if code == WORKER_ENDED:
        return f"The log pipeline lost the question twice ({problem}): {_NARROWER}."
    hint = data.get("hint")
    return f"{problem} ({hint})" if hint else problem


def _refused(problem: str, data: Mapping[str, Any]) -> str:
    """A wrong parameter: its name, what is wrong, and what would be right."""
    field = data.get("field")
    parts = [f"{field}: {problem}" if field else problem]
    if (position := data.get("position")) is not None:
        parts[0] += f" at character {position}"
    if expected := data.get("expected"):
        parts.append(f"expected {expected}")
    if nearest := data.get("nearest"):
        parts.append(f"did you mean {nearest}?")
    if hint := data.get("hint"):
        parts.append(str(hint))
    return "; ".join(parts)
