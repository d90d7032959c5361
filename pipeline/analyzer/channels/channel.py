"""What a channel is: something that can deliver a notice, or say why it could not."""

from __future__ import annotations

from typing import Protocol

from pipeline.analyzer.book import Notice
from pipeline.errors import PipelineError


class Undelivered(PipelineError):  # noqa: N818 - what happened, not whose error it is
    """A notice did not arrive, as far as the channel knows; `problem` has no secret.

    With `again` another attempt may help, after `after` seconds if the other side said
    so.
    """

    def __init__(
        self, problem: str, *, again: bool = True, after: float | None = None
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.again = again
        self.after = after


class Channel(Protocol):
    """One place that alerts go to; called by one thread at a time."""

    @property
    def repeat_seconds(self) -> float | None:
        """How often it wants to be told what is open; None: never."""

    def deliver(self, notice: Notice, now: float) -> None:
        """Tell it, within its time-outs; raises Undelivered. `now` is in seconds."""

    def repeat(self, notices: list[Notice], now: float) -> None:
        """The last notice of each open alert once more; raises Undelivered."""
