"""Keeps blocks in a running ingester while they are copied; its lease ends with us."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Event, Thread
from typing import Final

from pipeline.control import Client, ControlError
from pipeline.errors import StoreError

LEASE_SECONDS: Final = 30.0
RENEW_SECONDS: Final = 3.0
ASK_SECONDS: Final = 10.0


class GoneError(StoreError):
    """Blocks that were to be kept are gone; a new beginning finds others."""


class Pin:
    """While it is entered, replaced blocks stay. Without an ingester none goes."""

    def __init__(
        self, endpoint: str, purpose: str, is_there: Callable[[], bool]
    ) -> None:
        """`is_there`: whether an ingester runs."""
        self._client = Client(endpoint)
        self._is_there = is_there
        self._name = f"{purpose} {os.getpid()}"
        self._newest: int | None = None
        self._ended = Event()
        self._gone: str | None = None
        self._thread = Thread(target=self._renew, name="pin", daemon=True)
        self.is_held = False
        """Whether an ingester has said so."""

    def __enter__(self) -> Pin:
        self._ask()
        if self._is_there() and not self.is_held:
            raise StoreError(
                f"the ingester at {self._client.endpoint} does not answer: blocks would"
                " go while they are copied"
            )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self.is_held:
            try:
                self._client.unpin(self._name)
            except ControlError:
                return  # it ends by itself

    def expect(self, newest: int) -> None:
        """The newest compacted block of the copy, for an ingester that starts only
        now."""
        if self._newest is None:
            self._newest = newest

    def check(self) -> None:
        """Raise GoneError when blocks may be gone."""
        if self._gone is not None:
            raise GoneError(self._gone)

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_SECONDS):
            self._ask()

    def _ask(self) -> None:
        if not self._is_there():
            return
        try:
            self._newest = self._client.pin(
                self._name, LEASE_SECONDS, self._newest, ASK_SECONDS
            )
            self.is_held = True
        except ControlError as error:
            # no answer: without an ingester nothing goes, and a busy one holds it still
            if "gone" in error.problem and not error.is_absent:
                self._gone = error.problem
