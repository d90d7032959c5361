"""redaction.json as it is: the rules that hold unless the settings say otherwise."""

from __future__ import annotations

import json
from pkgutil import get_data
from typing import Any, Final

_TABLE: Final[dict[str, Any]] = json.loads(get_data("pipeline", "redaction.json") or "")

MASK: Final[str] = _TABLE["mask"]
"""What stands in place of a secret."""

KEYS: Final[tuple[str, ...]] = tuple(_TABLE["keys"])
KEY_ENDINGS: Final[tuple[str, ...]] = tuple(_TABLE["key_endings"])
PATTERNS: Final[tuple[dict[str, Any], ...]] = tuple(_TABLE["patterns"])
NAMES: Final[tuple[str, ...]] = tuple(pattern["name"] for pattern in PATTERNS)
