"""How a setting is declared: its default, its meaning, and its bounds."""

from __future__ import annotations

from dataclasses import field
from typing import Any, TypeVar

Value = TypeVar("Value", str, int, float, bool, tuple[str, ...])

ENDPOINT = (
    r"^(tcp://[^\s:/]+:[0-9]{1,5}|tcp://\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}|ipc://\S+)$"
)
"""The two transports that are offered: `tcp://host:port` and `ipc://path`."""

NOT_EMPTY = r"^[^\0]+$"


def setting(default: Value, meaning: str, **bounds: Any) -> Value:
    """One key; bounds are `minimum`, `maximum`, `choices`, `pattern` and `example`.

    The bounds of a list are those of each text in it, and the maximum of a text is one
    of bytes. What is `required` must not be empty.
    """
    return field(default=default, metadata={"meaning": meaning, **bounds})


def listed(section: type, meaning: str, default: tuple[str, ...] = ()) -> Any:
    """One key whose value is a list of such sections; there is none by default.

    With a default, which are texts, its items may be texts too.
    """
    about = {"meaning": meaning, "section": section, "texts": bool(default)}
    return field(default=default, metadata=about)
