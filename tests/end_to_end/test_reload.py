"""A configuration that changes while all processes run: by RPC, SIGHUP, its file."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from tests.end_to_end.running import Pipeline

NAMES = ("ingester", "gateway", "analyzer")


class Configured(Pipeline):
    """Processes that read one file."""

    def __init__(self):
        super().__init__()
        self.file = self.path / "pipeline.yaml"

    def configure(self, **sections):
        """Replace the file, as editors do."""
        new = self.path / "new"
        new.write_text(json.dumps(sections))
        new.replace(self.file)

    def start_all(self):
        """All three, by the file."""
        for name in NAMES:
            self.processes[name] = self.process(name, f"--config={self.file}")
        return self.wait_until_ready()

    def reloads(self, name):
        """What a process says of its reloads."""
        lines = self.processes[name].lines
        return [line for line in lines if "reloaded: " in line]

    def returned(self, limit):
        """How many entries a question returns."""
        return self.result("query", sources=["web"], limit=limit)["returned"]


def until(condition):
    """Wait for it."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def running():
    """All processes."""
    pipeline = Configured()
    pipeline.configure(query={"max_rows": 5000})
    try:
        yield pipeline.start_all()
    finally:
        pipeline.close()


def test_a_call_reloads_every_process(running):
    """What each can take is changed; what none can is named."""
    other = {"Host": "logs.example.org"}
    before = running.request("GET", "/health/live", headers=other)[0]
    running.configure(
        query={"max_rows": 3},
        storage={"max_size_mb": 100},
        alerts={"error_spike_threshold": 7},
        server={"port": 1},
        collector={"linger_ms": 20},
        compaction={"level": 5},
        redaction={"fields": ["iban"]},
        gateway={"hosts": ["logs.example.org"]},
    )
    told = running.result("reload_config")
    after = running.request("GET", "/health/live", headers=other)[0]
    assert (before, after) == (421, 200)
    entry = {"source": "web", "level": "INFO", "metadata": {"iban": "DE02"}}
    for n in range(3):
        running.result("log", message=f"m{n}", **entry)
    for name in ({}, {"producer": "ab" * 16, "sequence": 1}):
        running.result("log_batch", logs=[{"message": "m", **entry}], **name)

    assert told == {
        "changed": [
            "alerts.error_spike_threshold",
            "compaction.level",
            "gateway.hosts",
            "query.max_rows",
            "redaction.fields",
            "storage.max_size_mb",
        ],
        "restart_needed": ["collector.linger_ms"],
    }
    until(lambda: running.returned(limit=4) == 3)
    hidden = running.result("query", q='iban:="[redacted]"', limit=1)
    assert hidden["count"] == 5


def test_a_wrong_file_changes_nothing(running):
    """All that is wrong is told with its line, also what only one process knows."""
    running.file.write_text(
        "query:\n  max_rows: 9\nstorage:\n  max_size_mb: 1\n  max_dayz: 3\n"
    )
    problem = running.error("reload_config")["data"]["problem"]

    assert "line 4" in problem
    assert "line 5" in problem
    assert "max_days" in problem
    assert running.returned(limit=4) == 3


def test_the_file_and_a_hangup_reload(running):
    """Without being told, when the file is another; and by SIGHUP none ends."""
    before = {name: len(running.reloads(name)) for name in NAMES}
    running.configure(query={"max_rows": 8}, storage={"max_size_mb": 200})
    for name in NAMES:
        until(lambda name=name: len(running.reloads(name)) > before[name])
    until(lambda: running.returned(limit=8) == 5)
    for name in NAMES:
        os.kill(running.processes[name].pid, signal.SIGHUP)
    for name in NAMES:
        until(lambda name=name: "nothing changed" in running.reloads(name)[-1])

    told = running.reloads("ingester")[before["ingester"] :]
    assert any("storage.max_size_mb" in line for line in told)
    assert running.returned(limit=8) == 5
