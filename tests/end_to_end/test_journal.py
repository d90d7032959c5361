"""The pipeline's own warnings and errors are entries: real processes that go wrong."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from pipeline import service
from tests.end_to_end.running import Pipeline, Process

NAMES = ("ingester", "gateway", "analyzer")
STAYS = "the old configuration stays"


class Complaining(Pipeline):
    """All processes by one file, and what is stored of their complaints."""

    def start_all(self):
        """Until questions are answered."""
        self.file = self.path / "pipeline.yaml"
        self.file.write_text("query: {max_rows: 5000}\n")
        for name in NAMES:
            self.processes[name] = self.process(name, f"--config={self.file}")
        return self.wait_until_ready()

    def own(self, process):
        """The complaints of a process that are stored, oldest first."""
        return self.logs(q=f"source:pipeline process:{process}")

    def until(self, process, words):
        """The complaint that has these words, once it is stored."""
        end = time.monotonic() + 30
        while True:
            for entry in self.own(process):
                if words in entry["message"]:
                    return entry
            assert time.monotonic() < end, (self.own(process), words)
            time.sleep(0.05)

    def kill_query_worker(self, number):
        """Until it is gone."""
        pid = self.result("health")["workers"]["pids"][0]
        os.kill(pid, number)
        end = time.monotonic() + 30
        while pid in self.result("health")["workers"]["pids"]:
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture(scope="module")
def running():
    """Three processes."""
    pipeline = Complaining(metrics__canary_seconds=0)
    try:
        yield pipeline.start_all()
    finally:
        pipeline.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_process_complains_in_the_store(running, name):
    """As on stderr, with its name and level."""
    running.file.write_text("query: {max_rowz: 9}\n")
    os.kill(running.processes[name].pid, signal.SIGHUP)
    entry = running.until(name, STAYS)

    assert "max_rowz" in entry["message"]
    assert entry["level"] == "WARN"
    assert entry["metadata"]["pid"] == running.processes[name].pid
    assert any(STAYS in line for line in running.processes[name].lines)


def test_a_worker_that_is_killed_is_told(running):
    """By the process that it belongs to."""
    running.kill_query_worker(signal.SIGKILL)

    entry = running.until("gateway", "a query worker ended with signal 9")
    assert entry["level"] == "ERROR"


def test_without_an_ingester_it_is_said_and_stored_later(running):
    """What ended it is told by the next one, if a supervisor saw it."""
    running.stop("ingester", signal.SIGKILL)
    running.kill_query_worker(signal.SIGABRT)
    said = running.processes["gateway"].lines[-1]
    left = {"name": "ingester", "how": "was ended by SIGKILL", "last_words": ["oh"]}
    environ = running.environ | {service.PREDECESSOR: json.dumps(left)}
    running.processes["ingester"] = Process("ingester", environ)
    running.wait_until_ready()

    entry = running.until("ingester", "ingester was ended by SIGKILL and was started")
    assert entry["metadata"]["last_words"] == ["oh"]
    assert "a query worker ended with signal 6" in said
    running.until("gateway", "a query worker ended with signal 6")


def test_complaints_lead_to_no_more_of_them(running):
    """Once nothing is wrong any more, nothing is added."""
    before, told = -1, 0
    for _ in range(10):
        before, told = told, len(running.logs(sources=["pipeline"]))
        if told == before:
            break
        time.sleep(1.2)  # more than two hand-overs of each process

    assert 4 <= told == before < 20
