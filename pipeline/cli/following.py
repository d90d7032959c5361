"""How `tail` follows a store: by commit numbers, whatever becomes of the database.

A commit's number is never used again, and compaction keeps it; a salvaged database goes
on counting. Only another database counts anew, and is then shown from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Mark:
    """Up to which commit entries were shown; None: nothing was asked yet."""

    after: int | None = None
    _newest: int | None = None
    """The newest commit of a database that is behind the mark."""

    def moved(self, newest: int) -> bool:
        """Go on to the newest commit; whether another database began to grow.

        After a salvage that lost the last commits the newest is behind the mark, and
        stays there until the next one, which is beyond it.
        """
        seen, self._newest = self._newest, None
        if self.after is None or newest > self.after:
            self.after = newest
            return False
        if seen is None or newest <= seen:
            self._newest = newest if newest < self.after else None
            return False
        self.after = 0
        return True


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: an entry, or how many were missed; and its id."""

    kind: str
    data: bytes
    last_block: int | None


def events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of a stream of lines; one without data only moves the id."""
    kind, data = "message", b""
    last_block: int | None = None
    for line in lines:
        name, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        if not line.strip():
            if data or last_block is not None:
                yield Event(kind, data, last_block)
            kind, data, last_block = "message", b"", None
        elif name == b"event":
            kind = value.decode("utf-8", "replace")
        elif name == b"data":
            data += value
        elif name == b"id" and value.isdigit():
            last_block = int(value)
