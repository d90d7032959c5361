"""What a compaction worker says, checked before anything is done with it.

The worker may be of another version than the ingester that started it: the package was
replaced under a running one. What it says wrong must end it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_KINDS: Final[Mapping[str, tuple[dict[str, type], ...]]] = {
    "swap": (
        {"block": bytes, "blocks": int, "rows": int, "before": int, "after": int},
        {"block": bytes, "request": int, "deleted": int, "freed": int},
    ),
    "done": ({"request": int, "result": dict}, {"request": int, "error": str}),
    "said": ({"text": str, "failed": bool, "more": dict},),
    "state": ({},),
}
"""What each kind must have, in one way or another; a state has numbers only."""


def check(message: dict[str, Any]) -> dict[str, Any]:
    """The message; raises ValueError for what no worker of this version says."""
    kind = message.get("kind")
    forms = _KINDS.get(kind) if type(kind) is str else None
    if forms is None:
        raise ValueError(f"a message of kind {kind!r}")
    if not any(_has(message, form) for form in forms):
        raise ValueError(f"a message {kind} with {', '.join(message)}")
    if kind == "state" and not _has(message, dict.fromkeys({*message} - {"kind"}, int)):
        raise ValueError("a state that is no number")
    return message


def _has(message: dict[str, Any], form: Mapping[str, type]) -> bool:
    return all(type(message.get(name)) is wanted for name, wanted in form.items())
