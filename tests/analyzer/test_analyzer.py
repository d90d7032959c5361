"""The analyzer as it runs: a process that follows a publisher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from pipeline import transport
from pipeline.analyzer.analyzer import Analyzer, _console
from pipeline.analyzer.spikes import Finding, SpikeDetector
from pipeline.wire.frame import SUMMARY_TOPIC

NOW = 1_795_341_600
BOOT = b"b" * 16


def _body(block: int, counts: list[list[Any]]) -> bytes:
    body: bytes = msgpack.packb({"boot": BOOT, "block": block, "counts": counts})
    return body


def test_each_channel_gets_each_finding() -> None:
    """Findings go out once, to all channels."""
    one: list[Finding] = []
    other: list[Finding] = []
    analyzer = Analyzer(SpikeDetector(20, 300), [one.append, other.append])

    assert analyzer.take(_body(1, [[NOW, "api", 17, 20]]), NOW) is None
    findings = analyzer.evaluate(NOW) + analyzer.evaluate(NOW)
    assert findings == one == other
    assert len(findings) == 1


def test_a_bad_summary_is_said_and_counted() -> None:
    """It changes nothing else."""
    analyzer = Analyzer(SpikeDetector(20, 300), [])

    assert "summary" in (analyzer.take(b"\xc1", NOW) or "")
    assert analyzer.malformed == 1
    assert analyzer.take(_body(5, []), NOW) is None


def test_the_console_is_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """One line an alert."""
    _console(Finding("api", opened=True, count=20, threshold=20, window=300))

    expected = "alert: error spike: 20 errors of api in 300 s (threshold 20)\n"
    assert capfd.readouterr().err == expected


class Process:
    """A running analyzer and the publisher that it follows."""

    def __init__(self, folder: Path) -> None:
        endpoint = f"ipc://{folder}/publish"
        self.socket = transport.xpub(endpoint)
        environment = os.environ | {"PIPELINE_PUBLISH__ENDPOINT": endpoint}
        self.child = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "analyzer"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def line(self) -> str:
        """The next line on stderr, which the process will write."""
        assert self.child.stderr is not None
        return self.child.stderr.readline()

    def subscribed(self) -> None:
        """Wait for its subscription and grant it."""
        poller = transport.Poller()
        poller.watch(self.socket)
        assert poller.wait(10)
        frames = transport.receive(self.socket)
        assert frames == [b"\x01" + SUMMARY_TOPIC]
        transport.grant(self.socket, SUMMARY_TOPIC, subscribe=True)

    def publish(self, body: bytes) -> None:
        """Send one summary."""
        assert transport.send(self.socket, [SUMMARY_TOPIC, body])

    def close(self) -> None:
        """End what is left."""
        self.child.kill()
        self.child.communicate()
        self.socket.close(0)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """An analyzer with the default configuration."""
    process = Process(tmp_path)
    yield process
    process.close()


def test_the_process(process: Process) -> None:
    """It says that it is ready, raises one alert, says what it missed, and ends."""
    assert process.line().startswith("analyzer ready")
    process.subscribed()
    now = int(time.time())
    process.publish(_body(1, [[now, "api", 17, 19]]))
    process.publish(_body(2, [[now, "api", 9, 100], [now, "api", 17, 1]]))
    assert process.line() == (
        "alert: error spike: 20 errors of api in 300 s (threshold 20)\n"
    )
    process.publish(_body(5, [[now, "api", 17, 1]]))
    expected = "analyzer: 2 summaries missed before block 5 (2 missed in all)\n"
    assert process.line() == expected

    process.child.send_signal(signal.SIGTERM)
    assert process.child.wait(10) == 0
    assert process.child.stderr is not None
    assert process.child.stderr.read() == ""


def test_it_stays_small(process: Process) -> None:
    """No numpy, no aiohttp: at most 30 MB."""
    process.line()
    status = Path(f"/proc/{process.child.pid}/status")
    if not status.exists():
        pytest.skip("needs /proc")
    (line,) = [row for row in status.read_text().split("\n") if "VmRSS" in row]

    assert int(line.split()[1]) < 30_000
