"""One PUSH and one SUB between a process and its ingester, for any number of producers.

Only the thread that made it may use it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline import transport
from pipeline.errors import FrameError
from pipeline.wire.frame import (
    ACKNOWLEDGE_TOPIC,
    Acknowledgement,
    parse_acknowledgement,
)


class Link:
    """The way to an ingester and back; raises PipelineError for a bad endpoint."""

    def __init__(self, endpoints: tuple[str, str]) -> None:
        """`endpoints` are those of ingest and publish."""
        self._push = transport.push(endpoints[0])
        self._replies = transport.subscribe(endpoints[1], [])

    def register(self, poller: transport.Poller) -> None:
        """Wake the poller when an acknowledgement is there."""
        poller.watch(self._replies)

    def watch_room(self, poller: transport.Poller, *, wanted: bool) -> None:
        """Wake the poller, or no longer, when a batch could be sent."""
        if wanted:
            poller.watch(self._push, write=True)
        else:
            poller.forget(self._push)

    def follow(self, producer: bytes) -> None:
        """Ask for a producer's acknowledgements, which is to ask for a HELLO."""
        transport.listen(self._replies, ACKNOWLEDGE_TOPIC + producer, wanted=True)

    def leave(self, producer: bytes) -> None:
        """No longer ask for them."""
        transport.listen(self._replies, ACKNOWLEDGE_TOPIC + producer, wanted=False)

    def writable(self) -> bool:
        """Whether an ingester is connected and takes a batch now."""
        return transport.writable(self._push)

    def send(self, frames: tuple[bytes, bytes]) -> bool:
        """A batch's header and payload, without waiting; False: there is no room."""
        return transport.send(self._push, list(frames))

    def replies(self) -> Iterator[tuple[bytes, Acknowledgement]]:
        """All acknowledgements that are here, each with its producer."""
        while (frames := transport.receive(self._replies)) is not None:
            try:
                reply = parse_acknowledgement(frames[-1])
            except FrameError:  # of another version: its sender must go on by itself
                continue
            yield frames[0][len(ACKNOWLEDGE_TOPIC) :], reply

    def close(self) -> None:
        """Close both; what an ingester has not taken stays with its window."""
        self._replies.close(0)
        self._push.close(0)
