"""Bytes of requests that are held at the same time, bounded together.

Each body has a bound, and so have connections; all of both would be 8 GB.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pipeline.gateway.errors import busy

BODIES_BYTES: Final = 256 << 20
"""Of all bodies and frames that are read or answered."""

_RETRY_MS: Final = 1_000


class Bodies:
    """What all requests hold."""

    def __init__(self, most: int = BODIES_BYTES) -> None:
        self._most = most
        self.held = 0

    @contextmanager
    def hold(self) -> Iterator[Hold]:
        """One request's part; it is free again at the end."""
        hold = Hold(self)
        try:
            yield hold
        finally:
            self.held -= hold.size

    def has_room(self, size: int) -> bool:
        """Whether so much more fits."""
        return self.held + size <= self._most


@dataclass(slots=True)
class Hold:
    """What one request holds."""

    bodies: Bodies
    size: int = 0

    def take(self, size: int) -> None:
        """Hold more; raises RpcError (-32003) when there is no room."""
        if not self.bodies.has_room(size):
            raise busy("requests hold all memory that there is for them", _RETRY_MS)
        self.size += size
        self.bodies.held += size
