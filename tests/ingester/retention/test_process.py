"""Retention of a real ingester and its compaction worker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.control import Client, endpoint_of
from pipeline.entry import Entry
from tests.ingester.process import Process
from tests.query.stores import append

LEVELS = {"DEBUG": 5, "INFO": 9, "ERROR": 17}


def wait_until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    """Until it is so; fails when it never is."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def process(tmp_path: Path) -> Any:
    """An ingester that was not started yet."""
    made = Process(tmp_path)
    yield made
    made.stop()


def test_a_rule_takes_out_what_it_is_done_with(process: Process) -> None:
    """Entries of the level go from each block of which they are a fifth; others stay.

    The store was written long ago: what nobody saw counts as a day.
    """

    def rows(*names: str) -> list[Entry]:
        return [
            Entry(at, name, LEVELS[name], f"{name} {at}", {}, [], None)
            for at, name in enumerate(names)
        ]

    many = rows(*["DEBUG"] * 3, *["INFO"] * 5, "ERROR")
    few = rows("DEBUG", *["INFO"] * 9)
    append(process.database, [[(0, many)], [(0, few)], [(0, rows("DEBUG"))]])
    rules = "[{level: DEBUG, keep: 12h}]"
    process.environment["PIPELINE_STORAGE__RULES"] = rules
    process.start()
    client = Client(endpoint_of("", str(process.database)))
    wait_until(lambda: client.status()["retention"].get("rows_by_rule", 0) == 4)
    wait_until(lambda: any(e.source == "pipeline" for e in process.entries()))
    left = Counter(entry.source for entry in process.entries())

    assert left == {"DEBUG": 1, "INFO": 14, "ERROR": 1, "pipeline": 1}
    (told,) = process.entries("pipeline")
    assert told.message.startswith("retention dropped 4 entries of 2 blocks")
    assert told.metadata["reason"] == "rule"


def test_a_rule_for_every_entry_keeps_the_ingester_from_starting(
    process: Process,
) -> None:
    """With what is wrong, and where."""
    process.environment["PIPELINE_STORAGE__RULES"] = "[{keep: 12h}]"
    ended = process.second()

    assert ended.returncode != 0
    assert "storage.rules[0]: has neither source nor level" in ended.stderr
