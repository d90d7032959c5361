"""RE2 patterns, compiled under limits; no numpy, so that the gateway can refuse one."""

from __future__ import annotations

from typing import Any, Final

import re2

from pipeline.errors import QueryError

_MEMORY: Final = 4 << 20
"""Bytes that RE2 may take for a pattern; beyond it searches without its tables."""

_PROGRAM_MAX: Final = 10_000
"""Steps of a pattern: without tables each costs time at each byte."""

_REASON: Final = 120
"""Characters of what RE2 says: it repeats the pattern, however long that is."""


def compile_pattern(pattern: str) -> Any:
    """The pattern for bytes; raises QueryError."""
    options = re2.Options()
    options.log_errors = False  # they would go to the standard error stream
    options.max_mem = _MEMORY
    try:
        compiled = re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0]
        reason = (
            reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        )
        raise QueryError(
            f"no pattern: {reason[:_REASON]}", hint="patterns are RE2's"
        ) from None
    if compiled.programsize > _PROGRAM_MAX:
        raise QueryError("this pattern is too long", hint="repeat less in it")
    return compiled
