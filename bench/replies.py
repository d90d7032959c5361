"""What replies tell that nobody should be told."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from bench.fuzzing import GREETING_BYTES

LEAK: Final = re.compile(
    rb'Traceback|File \\?"|site-packages|\.py\b|0x7f[0-9a-f]{8}|/tmp/|/home/'
)
"""What no reply may tell of the server."""


def untold(body: bytes) -> tuple[bytes, list[str]]:
    """A reply without results, which were asked for, and what each call came to."""
    try:
        reply = json.loads(body)
    except ValueError:
        return body, []
    replies = reply if isinstance(reply, list) else [reply]
    calls = [call for call in replies if isinstance(call, dict) and "jsonrpc" in call]
    if not calls:
        return body, []
    codes = ["result" if "result" in call else _code(call) for call in calls]
    errors = [{**call, "result": None, "id": None} for call in calls]
    return json.dumps(errors).encode(), codes


def _code(call: dict[str, Any]) -> str:
    error = call.get("error")
    return str(error.get("code")) if isinstance(error, dict) else "neither"


def beyond_greeting(reply: bytes) -> bytes:
    """What a peer of ZMTP hears but a greeting, and at most why there is no more."""
    said = reply[GREETING_BYTES:]
    return b"" if said[2:].startswith(b"\x05ERROR") else said
