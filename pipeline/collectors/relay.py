"""The thread that forwards batches for senders elsewhere, whose numbers they carry.

It alone touches the sockets; `submit` may be called from any thread.  It starts with
the first call, so that a gateway whose clients have no numbers does not pay for it.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Final

from pipeline import clock, transport
from pipeline.collectors.forwarding import Call, Ended, Forwarding
from pipeline.collectors.link import Link
from pipeline.errors import PipelineError

_IDLE_SECONDS: Final = 1.0
_WAITING_SECONDS: Final = 0.05
"""Between two looks at what is late while calls wait."""

_JOIN_SECONDS: Final = 5.0


class Relay:
    """Forwards calls to one ingester and says how each has ended."""

    def __init__(self, endpoints: tuple[str, str], bytes_max: int) -> None:
        """`endpoints` are those of ingest and publish."""
        self._endpoints = endpoints
        self._forwarding = Forwarding(bytes_max)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._problem: str | None = None
        self._closing = False
        self._bell_out, self._bell_in = os.pipe()
        os.set_blocking(self._bell_out, False)
        os.set_blocking(self._bell_in, False)

    def submit(self, call: Call) -> str | None:
        """Take a call; `call.done` is told on the relay's thread how it has ended.

        Or why there is no room for it, and `done` is never called. Raises
        PipelineError when an endpoint can't be used.
        """
        with self._lock:
            if self._problem is not None:
                raise PipelineError(self._problem)
            if self._closing:
                return "the gateway is stopping"
            problem = self._forwarding.add(call, clock.monotonic_ns())
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="pipeline-relay", daemon=True
                )
                self._thread.start()
            self._ring()
        return problem

    def stats(self) -> dict[str, int]:
        """What waits at present, and what was sent again so far."""
        with self._lock:
            return {
                "relayed_calls": self._forwarding.calls,
                "relayed_bytes": self._forwarding.bytes,
                "relayed_producers": self._forwarding.followed,
                "relayed_again": self._forwarding.resent,
            }

    def close(self) -> None:
        """End the thread; whoever still waits is not told anything."""
        with self._lock:
            self._closing = True
            self._ring()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
        with self._lock:
            os.close(self._bell_in)
            os.close(self._bell_out)

    def _ring(self) -> None:
        with suppress(OSError):  # a full pipe has woken it already
            os.write(self._bell_in, b"x")

    def _run(self) -> None:
        try:
            link = Link(self._endpoints)
        except PipelineError as error:
            self._problem = str(error)
            return
        poller = transport.Poller()
        link.register(poller)
        poller.watch(self._bell_out)
        blocked = False
        try:
            while not self._closing:
                link.watch_room(poller, wanted=blocked)
                waits = self._forwarding.calls
                poller.wait(_WAITING_SECONDS if waits else _IDLE_SECONDS)
                self._hush()
                _tell(self._listen(link))
                blocked = self._send(link)
        finally:
            link.close()

    def _hush(self) -> None:
        with suppress(BlockingIOError):
            while len(os.read(self._bell_out, 4096)) == 4096:
                pass

    def _listen(self, link: Link) -> Ended:
        now = clock.monotonic_ns()
        ended: Ended = []
        with self._lock:
            for producer, reply in link.replies():
                ended += self._forwarding.acknowledge(producer, reply, now)
            ended += self._forwarding.expire(now)
        return ended

    def _send(self, link: Link) -> bool:
        """Follow, leave and send what is to be; whether the socket is full."""
        now = clock.monotonic_ns()
        with self._lock:
            wishes = self._forwarding.wishes
            while wishes:
                producer, wanted = wishes.popleft()
                link.follow(producer) if wanted else link.leave(producer)
            while (found := self._forwarding.take(now)) is not None:
                call, frames = found
                if not link.send(frames):
                    self._forwarding.untake(call)
                    return True
        return False


def _tell(ended: Ended) -> None:
    """Outside the lock: whoever is told may have the next call at hand."""
    for call, ending in ended:
        call.done(ending)
