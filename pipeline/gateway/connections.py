"""Who is connected, what each waits for, and who has waited too long. Pure.

A connection without a request holds a place and nothing else, so it is the one that
goes when places are short: those first that never had one, then the one that has rested
longest. A crowd that opens connections and says nothing therefore displaces itself.

One with a request keeps its place, a WebSocket for as long as it likes. So one token
has at most half of them, and the last few are for probes: who watches must not take a
gateway that is asked much for one that is dead.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

STALL_BYTES: Final = 64 << 10
"""A client that reads takes as much of what waits for it within STALL_SECONDS."""

STALL_SECONDS: Final = 60.0

_OF_ONE: Final = 2
"""A token's share of all places: one of so many."""

_FOR_PROBES: Final = 32
"""One of so many places has no request but a probe's."""


class End(Enum):
    """Why a connection is ended from this side; the names of their counters."""

    DISPLACED = "connections_displaced"
    SLOW_HEAD = "slow_heads"
    IDLE = "connections_idle"
    SLOW_READER = "slow_readers"


class Full(Enum):
    """Why a request gets no place; the names of their counters."""

    SHARE = "shares_exceeded"
    ALL = "connections_refused"


class Transport(Protocol):
    """The part of asyncio.Transport that is looked at."""

    def get_write_buffer_size(self) -> int:
        """Bytes that the client has not taken."""


Wire = TypeVar("Wire", bound=Transport)


@dataclass(eq=False, slots=True)
class Link(Generic[Wire]):
    """One connection."""

    wire: Wire
    since: float
    """When it began to wait for a request."""

    head_since: float | None
    """When the head of its next request began."""

    requests: int = 0
    is_known: bool = False
    """Whether it ever had a request that was let in."""

    is_placed: bool = False
    """Whether a request keeps its place that is no probe's."""

    token: str = ""
    """Whose request that is."""

    has_spoken: bool = False
    stalled: tuple[float, int] | None = None
    """Since when it takes nothing, and how much waits for it."""


@dataclass(slots=True)
class Bounds:
    """How many there may be, and for how long."""

    most: int = 512
    head_seconds: float = 10.0
    idle_seconds: float = 300.0


class Connections(Generic[Wire]):
    """All of a server, by what carries them."""

    def __init__(
        self, bounds: Bounds | None = None, counters: Counter[str] | None = None
    ) -> None:
        self.bounds = Bounds() if bounds is None else bounds
        self.counters: Counter[str] = Counter() if counters is None else counters
        self._links: dict[Wire, Link[Wire]] = {}
        self._strangers: OrderedDict[Wire, Link[Wire]] = OrderedDict()
        self._resting: OrderedDict[Wire, Link[Wire]] = OrderedDict()
        self._stalled: dict[Wire, Link[Wire]] = {}
        self._placed = 0
        self._of_token: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._links)

    def open(self, wire: Wire, now: float) -> tuple[bool, Wire | None]:
        """Whether there is a place for it, and who has to go for that."""
        goes = None
        if len(self._links) >= self.bounds.most:
            goes = next(iter(self._strangers or self._resting), None)
            if goes is None:
                self.counters["connections_refused"] += 1
                return False, None
            self._end(goes, End.DISPLACED)
        link = Link(wire, now, now)
        self._links[wire] = self._strangers[wire] = link
        return True, goes

    def closed(self, wire: Wire) -> None:
        """It is gone."""
        link = self._links.get(wire)
        if link is not None:
            self._leave(link)
        for kept in (self._links, self._strangers, self._resting, self._stalled):
            kept.pop(wire, None)

    def received(self, wire: Wire, now: float) -> None:
        """Something came: of a request's head, if it has no request."""
        link = self._links.get(wire)
        if link is not None:
            link.has_spoken = True
            if not link.requests and link.head_since is None:
                link.head_since = now

    def began(self, wire: Wire) -> None:
        """The head of a request is complete."""
        link = self._links.get(wire)
        if link is not None:
            link.requests += 1
            link.head_since = None
            self._strangers.pop(wire, None)
            self._resting.pop(wire, None)

    def admitted(self, wire: Wire, token: str = "") -> Full | None:
        """Its request came from somebody who may; why it has no place, if it has none.

        Those who need no token are all one machine's, and share nothing out.
        """
        link = self._links.get(wire)
        if link is None:
            return None
        full = self._full(token)
        if full is not None:
            self.counters[full.value] += 1
            return full
        link.is_known = link.is_placed = True
        link.token = token
        self._placed += 1
        self._of_token[token] += 1
        return None

    def _full(self, token: str) -> Full | None:
        most = self.bounds.most
        if token and self._of_token[token] >= max(1, most // _OF_ONE):
            return Full.SHARE
        return Full.ALL if self._placed >= most - most // _FOR_PROBES else None

    def _leave(self, link: Link[Wire]) -> None:
        """Its place is free again, if it had one."""
        if link.is_placed:
            link.is_placed = False
            self._placed -= 1
            self._of_token[link.token] -= 1
            if not self._of_token[link.token]:
                del self._of_token[link.token]

    def ended(self, wire: Wire, now: float) -> None:
        """The request was answered."""
        link = self._links.get(wire)
        if link is None:
            return
        link.requests -= 1
        if not link.requests:
            self._leave(link)
            link.since = now
            (self._resting if link.is_known else self._strangers)[wire] = link

    def stopped(self, wire: Wire, now: float) -> None:
        """More waits for the client than it takes."""
        link = self._links.get(wire)
        if link is not None:
            link.stalled = now, wire.get_write_buffer_size()
            self._stalled[wire] = link

    def resumed(self, wire: Wire) -> None:
        """It has taken nearly all."""
        self._stalled.pop(wire, None)

    def overdue(self, now: float) -> list[tuple[Link[Wire], End]]:
        """Whose time is over; they no longer count."""
        found = [*self._late(now), *self._slow(now)]
        for link, why in found:
            self._end(link.wire, why)
        return found

    def _late(self, now: float) -> Iterator[tuple[Link[Wire], End]]:
        own = self.bounds
        for link in (*self._strangers.values(), *self._resting.values()):
            if link.head_since is not None:
                if now - link.head_since > own.head_seconds:
                    yield link, End.SLOW_HEAD
            elif now - link.since > own.idle_seconds:
                yield link, End.IDLE

    def _slow(self, now: float) -> Iterator[tuple[Link[Wire], End]]:
        for wire, link in self._stalled.items():
            since, before = link.stalled or (now, 0)
            waits = wire.get_write_buffer_size()
            if waits <= before - STALL_BYTES:
                link.stalled = now, waits
            elif waits > before and now - since <= STALL_SECONDS:
                # replies that came since would hide all that it takes from now on
                link.stalled = since, waits
            elif now - since > STALL_SECONDS:
                yield link, End.SLOW_READER

    def _end(self, wire: Wire, why: End) -> None:
        self.counters[why.value] += 1
        self.closed(wire)
