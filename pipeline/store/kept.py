"""What was read of headers and may be asked again, up to so many bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Set
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The values used last, by block."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._total = 0
        self._values: OrderedDict[int, tuple[Value, int]] = OrderedDict()

    def get(self, block_id: int) -> Value | None:
        """The value, or None when it is not here."""
        found = self._values.get(block_id)
        if found is None:
            return None
        self._values.move_to_end(block_id)
        return found[0]

    def put(self, block_id: int, value: Value, size: int) -> None:
        """Keep a value that takes so many bytes; the longest unused go for it."""
        self._drop(block_id)
        self._values[block_id] = value, size
        self._total += size
        while self._total > self._most and len(self._values) > 1:
            _, (_, gone) = self._values.popitem(last=False)
            self._total -= gone

    def keep(self, live: Set[int]) -> None:
        """Forget all other blocks."""
        for block_id in self._values.keys() - live:
            self._drop(block_id)

    def _drop(self, block_id: int) -> None:
        _, size = self._values.pop(block_id, (None, 0))
        self._total -= size

    def clear(self) -> None:
        """Forget all."""
        self._values.clear()
        self._total = 0
