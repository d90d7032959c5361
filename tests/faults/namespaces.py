"""Two network namespaces and a cable between them, with whatever can go wrong on it.

The ingester is at one end, senders are at the other; each end has its own firewall and
queue, so nothing of it is felt outside.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from tests.capabilities import need
from tests.faults.processes import Process

ADDRESSES = {"store": "10.0.0.1", "send": "10.0.0.2"}
INGEST, PUBLISH = 6001, 6002
"""Ports, of the namespace's own."""

_numbers = count()


def _run(*words: str) -> None:
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


class Cable:
    """The namespaces `store` and `send`, with names that nobody else has."""

    def __init__(self) -> None:
        number = next(_numbers)
        self._names = {end: f"{end}-{os.getpid()}-{number}" for end in ADDRESSES}

    def endpoints(self) -> dict[str, str]:
        """Settings of an ingester at its end, which others reach: it wants keys."""
        address = ADDRESSES["store"]
        return {
            "CURVE__ENABLED": "true",
            "INGEST__ENDPOINT": f"tcp://{address}:{INGEST}",
            "PUBLISH__ENDPOINT": f"tcp://{address}:{PUBLISH}",
        }

    def move(self, end: str, *processes: Process) -> None:
        """Have processes start at one end."""
        for process in processes:
            process.words = ["ip", "netns", "exec", self._names[end], *process.words]

    def run(self, end: str, *words: str) -> None:
        """A command at one end; raises AssertionError when it fails."""
        _run("ip", "netns", "exec", self._names[end], *words)

    def make(self) -> None:
        """Namespaces, the cable, addresses."""
        store, send = self._names.values()
        for name in self._names.values():
            _run("ip", "netns", "add", name)
        cable = ("ip", "link", "add", "eth0", "netns", store, "type", "veth")
        _run(*cable, "peer", "name", "eth0", "netns", send)
        for end, address in ADDRESSES.items():
            self.run(end, "ip", "address", "add", f"{address}/24", "dev", "eth0")
            self.run(end, "ip", "link", "set", "lo", "up")
            self.run(end, "ip", "link", "set", "eth0", "up")

    def remove(self) -> None:
        """Both namespaces, with what is in them."""
        for name in self._names.values():
            words = ("ip", "netns", "delete", name)
            subprocess.run(words, capture_output=True, timeout=20, check=False)

    @contextmanager
    def firewall(self, *rules: tuple[str, Sequence[str]]) -> Iterator[None]:
        """Rules as (end, words of iptables) while it lasts."""
        for end, words in rules:
            self.run(end, "iptables", "-w", "-A", *words)
        try:
            yield
        finally:
            for end, words in rules:
                self.run(end, "iptables", "-w", "-D", *words)

    @contextmanager
    def down(self) -> Iterator[None]:
        """The cable is pulled out."""
        self.run("send", "ip", "link", "set", "eth0", "down")
        try:
            yield
        finally:
            self.run("send", "ip", "link", "set", "eth0", "up")

    @contextmanager
    def throttled(self, rate: str) -> Iterator[None]:
        """No more than `rate` each way."""
        limit = ("tbf", "rate", rate, "burst", "16kb", "latency", "300ms")
        for end in ADDRESSES:
            self.run(end, "tc", "qdisc", "add", "dev", "eth0", "root", *limit)
        try:
            yield
        finally:
            for end in ADDRESSES:
                self.run(end, "tc", "qdisc", "delete", "dev", "eth0", "root")


@contextmanager
def connected(cable: Cable) -> Iterator[Cable]:
    """From when it is there until it is gone."""
    need("netns", "iptables", "tc")
    try:
        cable.make()
        yield cable
    finally:
        cable.remove()
