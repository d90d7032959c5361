"""When a process that died is started again, and when that is given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 10.0
HEALTHY_SECONDS: Final = 30.0
"""A life of this length makes the next death a first one again."""

ATTEMPTS: Final = 5
"""Deaths in a row before ever being ready: 3 s in all. A wrong setting or a taken port
doesn't heal; a process that has served once is started again for ever."""


@dataclass(slots=True)
class Backoff:
    """The deaths of one process."""

    deaths: int = 0
    served: bool = False

    def died(self, lived: float) -> float | None:
        """Seconds until the next start after `lived` seconds; None: give up."""
        if lived >= HEALTHY_SECONDS:
            self.deaths = 0
        self.deaths += 1
        if not self.served and self.deaths >= ATTEMPTS:
            return None
        return min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self.deaths - 1, 16))
