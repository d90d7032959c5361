"""An ingester that a test may kill, and a sender that knows only the format."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pipeline import transport
from pipeline.control import Client
from pipeline.wire.frame import (
    ACKNOWLEDGE_TOPIC,
    Acknowledgement,
    parse_acknowledgement,
)
from tests.running import RunningIngester
from tests.wire.messages import PRODUCER

WAIT_MS: Final = 10_000


class Process(RunningIngester):
    """An ingester that a test may kill."""

    def end(self, number: signal.Signals) -> int:
        """Send it a signal; the exit code."""
        assert self._child is not None
        self._child.send_signal(number)
        self._child.communicate(timeout=20)
        code, self._child = self._child.returncode, None
        return code

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._child is not None
        return self._child.pid

    def said(self) -> str:
        """The next line of what it says."""
        assert self._child is not None
        assert self._child.stderr is not None
        return self._child.stderr.readline()

    def second(self) -> subprocess.CompletedProcess[str]:
        """Another one with the same settings, which has to end."""
        words = [sys.executable, "-m", "pipeline", "ingester"]
        return subprocess.run(
            words,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    def letters(self) -> Counter[str]:
        """Dead letters by reason."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            found = connection.execute("SELECT reason FROM dead_letters").fetchall()
        connection.close()
        return Counter(reason for (reason,) in found)


@contextmanager
def still(client: Client) -> Iterator[None]:
    """Its compaction worker does nothing: not even what it does when idle."""
    end = time.monotonic() + WAIT_MS / 1000
    while not (worker := client.status()["compaction"]["worker_pid"]):
        assert time.monotonic() < end, "no worker was started"
        time.sleep(0.02)
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


class Sender:
    """A sender in any language: two sockets, and bytes as FORMAT.md says."""

    def __init__(self, ingester: RunningIngester, producer: bytes = PRODUCER) -> None:
        self.push = transport.push(ingester.ingest)
        topic = ACKNOWLEDGE_TOPIC + producer
        self.replies = transport.subscribe(ingester.publish, [topic])

    def send(self, *frames: bytes) -> None:
        """One message."""
        self.push.send_multipart(frames)

    def reply(self) -> Acknowledgement:
        """The next acknowledgement."""
        assert self.replies.poll(WAIT_MS), "no acknowledgement came"
        return parse_acknowledgement(self.replies.recv_multipart()[1])

    def wait_for(self, durable: int) -> Acknowledgement:
        """The first acknowledgement that says so."""
        while (reply := self.reply()).durable < durable:
            pass
        return reply

    def close(self) -> None:
        """Both sockets."""
        self.push.close(0)
        self.replies.close(0)
