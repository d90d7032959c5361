"""Collectors of other people, by their dotted path, in threads."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.collectors import plugins
from pipeline.collectors.collector import Collector
from pipeline.collectors.plugins import load, start_all
from pipeline.errors import ConfigError
from tests.running import RunningIngester

MODULE = '''
"""What somebody else has written."""

import sys
import threading


class Sensor:
    """Logs as often as it is told, then waits."""

    def __init__(self, collector, name, count=1):
        if count < 0:
            raise ValueError("count must be 0 or more")
        self._collector, self._name, self._count = collector, name, count

    def run(self, stop):
        for number in range(self._count):
            text = f"{self._name} {number}"
            self._collector.log("INFO", text, {"n": number}, source="sensor")
        stop.wait()
        self._collector.log("INFO", f"{self._name} stopped", source="sensor")


class Broken:
    """Fails the first two times, each in another way."""

    runs = 0

    def __init__(self, collector):
        self._collector = collector

    def run(self, stop):
        Broken.runs += 1
        if Broken.runs == 1:
            raise RuntimeError("no device")
        if Broken.runs == 2:
            sys.exit("gone")
        self._collector.log("INFO", f"run {Broken.runs}", source="broken")


class Deaf:
    """Doesn't stop."""

    release = threading.Event()

    def __init__(self, collector):
        pass

    def run(self, stop):
        Deaf.release.wait()


class NoRun:
    def __init__(self, collector):
        pass


function = print
'''


@pytest.fixture
def log(ingester: RunningIngester) -> Iterator[Collector]:
    """The Collector that all share."""
    endpoints = {"acknowledge_endpoint": ingester.publish}
    with Collector(ingester.ingest, "collect", **endpoints) as collector:
        yield collector


@pytest.fixture
def module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    """The name of a module that only this test imports."""
    name = f"others_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / f"{name}_bad.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_each_runs_until_it_is_stopped(
    ingester: RunningIngester, log: Collector, module: str
) -> None:
    """With its own options; either way of writing the path will do."""
    configured = [
        (f"{module}:Sensor", {"name": "a", "count": 3}),
        (f"{module}.Sensor", {"name": "b"}),
    ]

    running = start_all(configured, log)
    ingester.wait_for("a 2")
    ingester.wait_for("b 0")

    assert running.stop_all(5) == []
    assert log.flush()
    found = {entry.message for entry in ingester.entries("sensor")}
    assert found == {"a 0", "a 1", "a 2", "b 0", "a stopped", "b stopped"}


def test_the_example_of_the_page_works(
    ingester: RunningIngester, log: Collector, tmp_path: Path, module: str
) -> None:
    """As it stands; only what reads the device is put beside it."""
    assert plugins.__doc__ is not None
    example = plugins.__doc__.split("its own:\n")[1].split("\n- ")[0]
    program = "read = float\n" + textwrap.dedent(example)
    (tmp_path / f"{module}_example.py").write_text(program)
    options = {"device": "21.5", "every": 0.01}

    running = start_all([(f"{module}_example:Thermometer", options)], log)

    assert ingester.wait_for("temperature").metadata == {"degrees": 21.5}
    assert running.stop_all(5) == []


def test_one_that_fails_starts_again_and_the_others_go_on(
    ingester: RunningIngester, log: Collector, module: str
) -> None:
    """What it raised is an entry with its stack; sys.exit() is a failure, too."""
    configured = [
        (f"{module}:Broken", {}),
        (f"{module}:Sensor", {"name": "beside"}),
    ]

    running = start_all(configured, log)
    ingester.wait_for("run 3")
    running.stop_all(5)
    log.flush()

    first, second = ingester.entries("pipeline")
    path = f"{module}:Broken"
    assert first.level == second.level == 17
    assert first.message == (
        f"collector {path} failed: RuntimeError: no device; starts again in 1 s"
    )
    assert second.message.endswith("SystemExit: gone; starts again in 2 s")
    assert first.metadata is not None
    assert first.metadata["collector"] == path
    assert 'raise RuntimeError("no device")' in first.metadata["stack"]
    assert ingester.wait_for("beside stopped")


def test_one_that_does_not_stop_is_named(log: Collector, module: str) -> None:
    """And is not waited for longer than was allowed."""
    running = start_all([(f"{module}:Deaf", {})], log)

    try:
        assert running.stop_all(0.05) == [f"collector {module}:Deaf"]
    finally:
        load(f"{module}:Deaf", {}, log).release.set()  # type: ignore[attr-defined]
    end = time.monotonic() + 5
    while running.stop_all(0.05):
        assert time.monotonic() < end


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("", {}, "collectors[1].class: '' is no path; expected \"package.module:Class"),
        ("Class", {}, "[1].class: 'Class' is no path"),
        (
            "no_such_module:Class",
            {},
            "No module named 'no_such_module'; expected",
        ),
        ("{}_bad:Class", {}, "ZeroDivisionError: division by zero"),
        ("{}:Missing", {}, "has no Missing; expected the name of a class in it"),
        ("{}:function", {}, "is not a class with a method `run`"),
        ("{}:NoRun", {}, "is not a class with a method `run`"),
        ("{}:Sensor", {}, "[1].options: missing a required argument: 'name'"),
        ("{}:Sensor", {"nam": 1}, "Sensor(collector, name, count=1) takes"),
        ("{}:Sensor", {"name": 1, "count": -1}, "ValueError: count must be 0 or more"),
    ],
)
def test_what_is_wrong_is_said_before_any_starts(
    log: Collector, module: str, path: str, options: dict[str, object], words: str
) -> None:
    """With the setting, the problem and what would be right."""
    configured = [
        (f"{module}:Sensor", {"name": "good"}),
        (path.format(module), options),
    ]
    before = threading.active_count()

    with pytest.raises(ConfigError) as raised:
        start_all(configured, log)

    assert words in str(raised.value)
    assert str(raised.value).startswith("collect.collectors[1].")
    assert threading.active_count() == before
