"""A bad network between one sender and the ingester, moved on step by step."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

Frames = tuple[bytes, ...]

SILENCE = 50
"""Steps in which a subscription must have told all that there is to tell."""

LATEST = 30
"""Steps that a message may need: long enough to be overtaken by a whole restart."""


@dataclass(frozen=True)
class Trouble:
    """How often what goes wrong in one schedule, as chances."""

    loss: float = 0.0
    doubling: float = 0.0
    delay: float = 0.0
    flips: float = 0.0
    cuts: float = 0.0
    full_disk: float = 0.0
    ingester_kills: float = 0.0
    sender_kills: float = 0.0
    holds: int = 1 << 30
    """Batches that a sender holds before it gives up the oldest."""
    gaps: bool = False
    """Whether senders reject rows, so that batches cover more numbers than rows."""
    forgets: bool = False
    """Whether the ingester forgets producers who have been idle."""

    @property
    def is_clean(self) -> bool:
        """Whether messages are lost only together with their connection."""
        return not (self.loss or self.delay or self.flips or self.full_disk)


def trouble(chance: random.Random) -> Trouble:
    """What one schedule has to stand: each kind in about half of them."""

    def some(*rates: float) -> float:
        return chance.choice((0.0,) * len(rates) + rates)

    quiet = chance.random() < 0.2
    return Trouble(
        loss=0.0 if quiet else some(0.05, 0.3),
        doubling=some(0.05, 0.3),
        delay=0.0 if quiet else some(0.3, 0.9),
        flips=0.0 if quiet else some(0.03, 0.2),
        cuts=some(0.02, 0.1),
        full_disk=0.0 if quiet else some(0.3),
        ingester_kills=some(0.02, 0.1),
        sender_kills=some(0.05),
        holds=chance.choice((1 << 30, 1 << 30, 3, 8)),
        gaps=chance.random() < 0.3,
        forgets=chance.random() < 0.2,
    )


@dataclass
class Way:
    """Messages in one direction, each with the step at which it arrives."""

    chance: random.Random
    loss: float
    doubling: float
    delay: float
    flips: float = 0.0
    messages: list[tuple[int, Frames]] = field(default_factory=list)
    flipped: int = 0

    def send(self, step: int, frames: Frames) -> None:
        """Lose it, double it, delay it or change a bit of it, as it comes."""
        for _ in range(2 if self.chance.random() < self.doubling else 1):
            if self.loss and self.chance.random() < self.loss:
                continue
            late = 1
            if self.delay and self.chance.random() < self.delay:
                late = self.chance.choice((0, 1, 2, 3, LATEST))
            sent = self._flip(frames) if self.chance.random() < self.flips else frames
            self.messages.append((step + late, sent))

    def arrived(self, step: int) -> list[Frames]:
        """What is here by now."""
        if not self.messages:
            return []
        here = [frames for due, frames in self.messages if due <= step]
        self.messages = [found for found in self.messages if found[0] > step]
        return here

    def _flip(self, frames: Frames) -> Frames:
        self.flipped += 1
        changed = [bytearray(frame) for frame in frames]
        frame = self.chance.choice([frame for frame in changed if frame])
        frame[self.chance.randrange(len(frame))] ^= 1 << self.chance.randrange(8)
        return tuple(map(bytes, changed))


class Line:
    """One sender's connections: batches there, acknowledgements back.

    A cut loses what is under way, the subscription too; after it the subscription may
    need longer than the sender waits for HELLO.
    """

    def __init__(self, chance: random.Random, worst: Trouble) -> None:
        self._chance = chance
        self._cuts = worst.cuts
        rates = (worst.loss, worst.doubling, worst.delay)
        self.there = Way(chance, *rates, worst.flips)
        self.back = Way(chance, *rates)
        self.is_up = False
        self.subscribed = False
        self.subscribed_at = 0
        self._up_at = 0
        self._subscribes_at = 0

    def move(self, step: int) -> bool:
        """One step; whether the subscription has just arrived at the ingester."""
        if self.is_up and self._cuts and self._chance.random() < self._cuts:
            self.cut(step)
        if not self.is_up and step >= self._up_at:
            self.is_up = True
            self._subscribes_at = step + self._chance.choice((0, 1, 2, 25))
        if self.is_up and not self.subscribed and step >= self._subscribes_at:
            self.subscribed = True
            self.subscribed_at = step
            return True
        return False

    def is_silent(self, step: int) -> bool:
        """Whether the subscription has been there for long."""
        return self.subscribed and step - self.subscribed_at > SILENCE

    def ask(self, step: int) -> None:
        """Subscribe anew."""
        self.subscribed = False
        self.subscribed_at = step
        self._subscribes_at = step + 1

    def cut(self, step: int) -> None:
        """Both connections are gone, with all that is in them."""
        self.end(step)
        self.there.messages.clear()

    def end(self, step: int) -> None:
        """The sender is gone; what it had sent may wait, unread, behind a HELLO."""
        later = self._chance.choice((0, 5, 15))
        waiting = self.there.messages
        self.there.messages = [(due + later, frames) for due, frames in waiting]
        self.back.messages.clear()
        self.is_up = self.subscribed = False
        self._up_at = step + self._chance.choice((0, 1, 3, 20))

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way."""
        return not (self.there.messages or self.back.messages)
