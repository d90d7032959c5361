"""Values of a record as metadata that an entry can hold, as they are now."""

from __future__ import annotations

import traceback
from typing import Any, Final

from pipeline.collectors.admission import clean_value
from pipeline.errors import EntryError

TEXT_CHARACTERS: Final = 32_768
"""A longer text of metadata loses its middle, so that the record as a whole is kept."""


def plain_value(value: object) -> Any:
    """A copy that the program can't change afterwards; what msgpack has no form for
    becomes text, and one whose text raises says so."""
    kind = type(value)
    if kind is int or kind is float or kind is bool or value is None:
        return value
    if kind is str:
        return shorten(str(value))
    try:
        try:
            cleaned = clean_value(value, 0)
        except EntryError:  # nested too deep, or within itself
            return shorten(repr(value))
    except Exception as error:  # noqa: BLE001 - `str` of any object may raise anything
        return f"<{kind.__name__} without a text: {type(error).__name__}>"
    return shorten(cleaned) if isinstance(cleaned, str) else cleaned


def shorten(text: str) -> str:
    """A text of at most TEXT_CHARACTERS, and a line that says what is missing."""
    if len(text) <= TEXT_CHARACTERS:
        return text
    half = TEXT_CHARACTERS // 2
    gone = len(text) - 2 * half
    return f"{text[:half]}\n... {gone:,} characters ...\n{text[-half:]}"


def exception_fields(error: BaseException, stack: str | None = None) -> dict[str, str]:
    """Type, text and stack of an exception; `stack` if it has been written already."""
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    if not stack:
        stack = "".join(traceback.format_exception(error)).rstrip("\n")
    return {
        "exc_type": f"{module}{kind.__qualname__}",
        "exc_message": str(plain_value(error)),
        "stack": shorten(stack),
    }
