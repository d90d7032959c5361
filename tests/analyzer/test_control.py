"""The analyzer's control socket, over a real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from pipeline import transport
from pipeline.analyzer.control import Control
from pipeline.control import Client, ControlError
from pipeline.errors import ConfigError


class Served:
    """A socket that is served by a thread."""

    def __init__(self, folder: Path) -> None:
        self.endpoint = f"ipc://{folder}/c"
        self.problem: ConfigError | None = None
        self._control = Control(self.endpoint, lambda: {"open": 2}, self._reload)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _reload(self) -> dict[str, Any]:
        if self.problem is not None:
            raise self.problem
        return {"changed": ["alerts.rules"]}

    def _serve(self) -> None:
        poller = transport.Poller()
        poller.watch(self._control.socket)
        while not self._ends.is_set():
            poller.wait(0.05)
            self._control.serve()

    def close(self) -> None:
        """End it."""
        self._ends.set()
        self._thread.join()
        self._control.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A served socket."""
    served = Served(tmp_path)
    yield served
    served.close()


def test_status_and_reload(served: Served) -> None:
    """Each with its result."""
    client = Client(served.endpoint)

    assert client.status() == {"open": 2}
    assert client.ask("reload", {}, 5) == {"changed": ["alerts.rules"]}


def test_a_reload_that_is_refused_says_why(served: Served) -> None:
    """As the configuration's error has it."""
    served.problem = ConfigError("alerts.rules[0].query", "x", "y")

    with pytest.raises(ControlError, match=r"alerts.rules\[0\].query: x; expected y"):
        Client(served.endpoint).ask("reload", {}, 5)


def test_another_method_is_refused(served: Served) -> None:
    """With those that there are."""
    with pytest.raises(ControlError, match=r"'compact' is no method; .*reload"):
        Client(served.endpoint).ask("compact", {}, 5)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"\xc1", ""),
        (msgpack.packb([1]), ""),
        (msgpack.packb({"version": 1}), "id"),
        (msgpack.packb({"version": 1, "id": -1}), "id"),
        (msgpack.packb({"version": 9, "id": 1}), "version"),
    ],
)
def test_what_is_no_request_is_refused(served: Served, body: bytes, field: str) -> None:
    """The field is named."""
    link = transport.Link(served.endpoint)
    poller = transport.Poller()
    poller.watch(link.socket)
    transport.send(link.socket, [body])
    assert poller.wait(10)
    frames = transport.receive(link.socket)
    link.close()
    assert frames is not None

    assert msgpack.unpackb(frames[-1])["field"] == field
