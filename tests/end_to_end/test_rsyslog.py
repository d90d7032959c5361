"""The real rsyslogd sends through omczmq, in each of its templates."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.entry import Level
from pipeline.timestamp import SECOND
from tests.running import RunningIngester

pytestmark = pytest.mark.requires_tool("rsyslogd")

COUNT = 120
LEVELS = {2: Level.FATAL, 3: Level.ERROR, 4: Level.WARN, 6: Level.INFO, 7: Level.DEBUG}
TEMPLATES = (
    "RSYSLOG_ForwardFormat",
    "RSYSLOG_SyslogProtocol23Format",
    "RSYSLOG_TraditionalForwardFormat",
)
INPUT = """
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/log" RateLimit.Interval="0")
"""

ROOT = Path(__file__).parents[2]
FORMAT = ROOT / "pipeline" / "wire" / "FORMAT.md"


def documented() -> str:
    """The snippet of FORMAT.md."""
    (found,) = re.findall(r"```rsyslog\n(.*?)```", FORMAT.read_text(), re.S)
    return found


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[RunningIngester]:
    """One that rsyslogd sends to."""
    running = RunningIngester(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture(params=TEMPLATES)
def log(
    request: pytest.FixtureRequest, ingester: RunningIngester, tmp_path: Path
) -> Iterator[socket.socket]:
    """The socket that programs' syslog(3) writes to, of an rsyslogd of its own."""
    config = tmp_path / "rsyslog.conf"
    snippet = documented().replace("tcp://127.0.0.1:5555", ingester.ingest)
    snippet = snippet.replace("action(", f'action(template="{request.param}" ')
    config.write_text(INPUT.format(folder=tmp_path) + snippet)
    command = ["rsyslogd", "-n", "-f", str(config), "-i", str(tmp_path / "pid")]
    daemon = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as programs:
            end = time.monotonic() + 20
            while programs.connect_ex(str(tmp_path / "log")):
                assert daemon.poll() is None, daemon.communicate()
                assert time.monotonic() < end
                time.sleep(0.02)
            yield programs
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.communicate(timeout=20)


def test_the_readme_has_a_whole_configuration(tmp_path: Path) -> None:
    """On one line what FORMAT.md has on two; rsyslogd takes it as it stands."""
    line = " ".join(documented().splitlines())
    assert f"`{line}`" in (ROOT / "README.md").read_text()
    config = tmp_path / "rsyslog.conf"
    config.write_text(f"{line}\n")

    check = subprocess.run(
        ["rsyslogd", "-N1", "-f", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )

    assert check.returncode == 0, check.stderr
    assert "error" not in check.stderr.lower()


def test_every_message_is_an_entry(
    ingester: RunningIngester, log: socket.socket
) -> None:
    """Once, with its program, process, level, facility, host and time."""
    begin = time.time_ns() // SECOND * SECOND
    for number in range(COUNT):
        severity = list(LEVELS)[number % len(LEVELS)]
        program = f"app-{number % 3}[{number + 1000}]"
        line = (
            f"<{8 * 17 + severity}>Nov 22 10:00:00 {program}: größe {number}: \\ <ok>"
        )
        log.send(line.encode())

    ingester.wait_for(f"größe {COUNT - 1}: \\ <ok>")

    found = {entry.message: entry for entry in ingester.entries()}
    assert Counter(entry.message for entry in ingester.entries()) == Counter(
        f"größe {number}: \\ <ok>" for number in range(COUNT)
    )
    for number in range(COUNT):
        entry = found[f"größe {number}: \\ <ok>"]
        assert entry.source == f"app-{number % 3}"
        assert entry.level == list(LEVELS.values())[number % len(LEVELS)]
        assert begin <= entry.timestamp <= time.time_ns()
        assert entry.timestamp % 1000 == 0  # as it was written, not of arrival
        assert entry.metadata is not None
        assert entry.metadata["facility"] == "local1"
        assert entry.metadata["procid"] == str(number + 1000)
        assert entry.metadata["hostname"]
