"""The unit of systemd: what it runs, what it is told, and what it forbids."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pipeline import service
from pipeline.cli.heartbeat import PATIENCE_SECONDS, Heartbeat
from tests.ports import free_port

UNIT = (
    Path(__file__).parents[2] / "config/deploy/systemd/recursive-log-pipeline.service"
)
TEXT = UNIT.read_text()


class Systemd:
    """The socket that NOTIFY_SOCKET names, as systemd has one."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(30)
        self.seen: list[str] = []

    def expect(self, wanted: str) -> None:
        """Read on until this has been said."""
        while wanted not in self.seen:
            self.seen += self._socket.recv(4096).decode().splitlines()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    there = Systemd(tmp_path)
    yield there
    there.close()


def test_the_unit_runs_says_ready_beats_and_stops(tmp_path, systemd):
    """Its own command with its own environment, in another folder."""
    state, config = tmp_path / "state", tmp_path / "config.yaml"
    state.mkdir()
    config.write_text(f"server: {{port: {free_port()}}}\n")
    text = TEXT.replace("/var/lib/recursive-log-pipeline", str(state))
    text = text.replace("/etc/recursive-log-pipeline/config.yaml", str(config))
    (command,) = re.findall("^ExecStart=(.*)", text, re.M)
    words = [sys.executable, "-m", "pipeline", *shlex.split(command)[1:]]
    environ = dict(
        pair.split("=", 1) for pair in re.findall("^Environment=(.*)", text, re.M)
    )
    process = subprocess.Popen(
        words,
        cwd=state,
        env={
            **os.environ,
            **environ,
            "PIPELINE_INGEST__ENDPOINT": f"ipc://{tmp_path}/i",
            "PIPELINE_PUBLISH__ENDPOINT": f"ipc://{tmp_path}/o",
            "NOTIFY_SOCKET": systemd.address,
            "WATCHDOG_USEC": "300000",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        try:
            systemd.expect("READY=1")
            assert systemd.seen[:1] == ["READY=1"]
            systemd.expect("WATCHDOG=1")
        finally:
            process.send_signal(signal.SIGTERM)
        systemd.expect("STOPPING=1")
        process.communicate(timeout=40)

    assert process.returncode == 0
    assert (state / "logs.db").exists()


def test_a_process_of_its_own_is_ready_by_itself(systemd, monkeypatch):
    """`pipeline gateway` as a unit; below `up` it is `up` that tells."""
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    service.announce_ready("gateway")
    systemd.expect("READY=1")
    monkeypatch.setenv(service.SUPERVISOR_PID, str(os.getpid()))
    service.announce_ready("gateway")
    service.notify("STATUS=seen")
    systemd.expect("STATUS=seen")

    assert systemd.seen == ["READY=1", "STATUS=seen"]


@pytest.fixture
def gateway() -> Iterator[HTTPServer]:
    """Something that answers with a status of the test's choice."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    server.status = 200  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_heartbeat_is_true(systemd, gateway, monkeypatch):
    """It ends some time after the last good answer, and begins with the next."""
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    heart = Heartbeat({"WATCHDOG_USEC": "60000000"}, gateway.server_address[:2])
    told: list[str] = []
    heart.begin(1000.0)
    for status, now in (
        (200, 1000.0),
        (200, 1010.0),  # too soon
        (503, 1000.0 + PATIENCE_SECONDS - 1),
        (503, 1000.0 + PATIENCE_SECONDS + 60),
        (401, 1000.0 + PATIENCE_SECONDS + 120),  # it answers, if not to everybody
    ):
        gateway.status = status
        heart.beat(now)
    service.notify("STATUS=seen")
    systemd.expect("STATUS=seen")
    told = [said for said in systemd.seen if said != "STATUS=serving"]

    assert told == [
        *("READY=1", "WATCHDOG=1", "WATCHDOG=1"),
        "STATUS=the gateway does not answer, or says 503",
        *("WATCHDOG=1", "STATUS=seen"),
    ]


def test_without_systemd_nothing_is_due():
    """Neither is for a watchdog that is somebody else's."""
    heart = Heartbeat({}, None)
    heart.begin(time.monotonic())
    other = Heartbeat({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, None)
    other.begin(time.monotonic())

    assert (heart.due(), other.due()) == (None, None)


@pytest.mark.requires_tool("systemd-analyze")
def test_systemd_understands_the_unit_and_calls_it_safe(tmp_path):
    """Nothing is wrong with it but where the program lies; exposure is 0 to 10."""
    unit = tmp_path / UNIT.name
    unit.write_text(TEXT.replace("/opt/recursive-log-pipeline/bin/pipeline", "/bin/sh"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    (exposure,) = re.findall(r"exposure level for \S+: ([\d.]+)", judged.stdout)

    assert verified.stderr == ""
    assert float(exposure) <= 1.5
