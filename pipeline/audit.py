"""The append-only record of what was done, by whom: entries of source `audit`.

The ingester alone writes them: of what it deletes, and what others ask it to note over
its control socket, which belongs to who owns the database. Whoever else sends an entry
of this source has it refused, and no deletion takes one. They grow old as others do:
retention by age and size, which drops whole blocks, and archives take them, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SOURCE: Final = "audit"

TEXT_CHARACTERS: Final = 4_096
"""Of one text that is noted."""

EXPECTED: Final = "another source: the pipeline alone writes this one"


def entry(
    action: str, by: str, message: str, now: int, more: Mapping[str, Any]
) -> dict[str, Any]:
    """An entry as the ingester takes it; `now` in ns."""
    return {
        "timestamp": now,
        "source": SOURCE,
        "level": "INFO",
        "message": message[:TEXT_CHARACTERS],
        "metadata": {"action": action, "by": by, **more},
    }
