"""`pipeline collect` as a process: files and collectors of one's own, end to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import RunningIngester

TRACE = """\
2026-11-22 10:00:00,000 ERROR no
Traceback (most recent call last):
  File "a.py", line 1, in <module>
ValueError: no
"""
PLUGIN = """\
class Greeter:
    def __init__(self, collector, name):
        self.collector, self.name = collector, name

    def run(self, stop):
        self.collector.log("INFO", f"hello {self.name}", source="greeter")
        stop.wait()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[RunningIngester]:
    """One that the process sends to."""
    running = RunningIngester(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def start(ingester: RunningIngester, tmp_path: Path) -> Iterator[Start]:
    """Run the command in the test's folder, and wait until it is ready."""
    started = []

    def _start(*words: str, **environment: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "collect", *words],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=ingester.environment | {"PYTHONPATH": "."} | environment,
        )
        started.append(child)
        assert child.stderr is not None
        assert child.stderr.readline().startswith("collector ready")
        return child

    yield _start
    for child in started:
        child.kill()
        child.communicate()


def end(child: subprocess.Popen[str]) -> str:
    """SIGTERM; what it has said, once it has ended well."""
    child.send_signal(signal.SIGTERM)
    said = child.communicate(timeout=20)[1]
    assert child.returncode == 0, said
    return said


def test_files_of_the_configuration(start, ingester, tmp_path):
    """Levels, times and traces are recognised; source and tags are as configured."""
    (tmp_path / "app.log").write_text(TRACE + '{"msg": "hi", "source": "own"}\n')
    (tmp_path / "web.log").write_text("level=warn msg=slow ms=7\n")
    (tmp_path / "c.yaml").write_text(
        """
collect:
  files:
  - paths: [app.log]
    tags: [prod]
  - {paths: ["w*.log"], source: front}
"""
    )
    end_after = start("--config", "c.yaml")
    ingester.wait_for("slow")
    ingester.wait_for("hi")
    end(end_after)
    found = {entry.message: entry for entry in ingester.entries()}

    assert set(found) == {TRACE.rstrip(), "hi", "slow"}
    assert [found[m].source for m in (TRACE.rstrip(), "hi", "slow")] == [
        *("app", "own", "front"),
    ]
    assert [found[m].level for m in (TRACE.rstrip(), "hi", "slow")] == [17, 9, 13]
    assert found["hi"].tags == ["prod"]
    assert found["slow"].metadata == {
        "ms": 7,
        "log.file.path": os.path.realpath(tmp_path / "web.log"),
    }


def test_files_of_the_command_line(start, ingester, tmp_path):
    """SIGUSR1 says how far they are, and the next process sends nothing again."""
    (tmp_path / "a.log").write_text("one\n")
    child = start("--source", "s", "*.log")
    ingester.wait_for("one")
    said = ""
    while "durable" not in said:  # the store has it a moment before it is told
        child.send_signal(signal.SIGUSR1)
        said = child.stderr.readline()
    end(child)
    (tmp_path / "a.log").write_text("one\ntwo\n")
    child = start("--source", "s", "*.log")
    ingester.wait_for("two")
    end(child)

    assert "a.log: reading, size 4, read 4, durable 4, entries 1" in said
    assert [e.message for e in ingester.entries("s")] == ["one", "two"]


def test_collectors_of_the_configuration(start, ingester, tmp_path):
    """A class of somebody else, beside files."""
    (tmp_path / "greeting.py").write_text(PLUGIN)
    (tmp_path / "a.log").write_text("one\n")
    (tmp_path / "c.yaml").write_text(
        """
collect:
  files: [{paths: [a.log]}]
  collectors: [{class: "greeting:Greeter", options: {name: Ada}}]
"""
    )
    child = start("--config", "c.yaml")

    assert ingester.wait_for("hello Ada").source == "greeter"
    ingester.wait_for("one")
    end(child)


def test_collectors_change_while_it_runs(start, ingester, tmp_path):
    """The old ones stop once the new ones are made; what can't be made changes
    nothing."""
    (tmp_path / "greeting.py").write_text(PLUGIN)
    file = tmp_path / "c.yaml"
    text = "collect: {collectors: [{class: 'greeting:Greeter', options: {%s}}]}"
    file.write_text(text % "name: Ada")
    child = start("--config", "c.yaml")
    ingester.wait_for("hello Ada")
    file.write_text(text % "nome: Bob")
    child.send_signal(signal.SIGHUP)
    complaint = ingester.wait_for_beginning("the collectors before stay")
    file.write_text(text % "name: Eve")
    child.send_signal(signal.SIGHUP)
    ingester.wait_for("hello Eve")
    end(child)

    assert "collect.collectors[0].options" in complaint.message
    assert complaint.source == "pipeline"


def test_without_anything_it_waits(start):
    """`pipeline up` has it whether or not files are configured."""
    end(start())


def test_what_is_followed_changes_while_it_runs(start, ingester, tmp_path):
    """Each line once, by the rules of its time; a wrong file changes nothing."""
    file, a, b = tmp_path / "c.yaml", tmp_path / "a.log", tmp_path / "b.log"
    a.write_text("one\n")
    b.write_text("other\n")
    file.write_text("collect: {files: [{paths: [a.log], source: s}]}\n")
    child = start("--config", "c.yaml")
    ingester.wait_for("one")
    file.write_text("collect: {files: [{paths: [a.log], tags: ['']}]}\n")
    child.send_signal(signal.SIGHUP)
    complaint = ""
    while "stays" not in complaint:
        complaint = child.stderr.readline()
    file.write_text(
        """
collect: {files: [{paths: ["?.log"], source: s}]}
redaction: {fields: [iban]}
"""
    )
    child.send_signal(signal.SIGHUP)
    ingester.wait_for("other")
    with a.open("a") as more:
        more.write('{"msg": "two", "iban": "DE02"}\n')
    two = ingester.wait_for("two")
    said = end(child)

    assert "collect.files[0].tags" in complaint
    assert "reloaded: collect.files, redaction.fields" in said
    assert (two.metadata or {})["iban"] == "[redacted]"
    messages = [entry.message for entry in ingester.entries("s")]
    assert sorted(messages) == ["one", "other", "two"]
