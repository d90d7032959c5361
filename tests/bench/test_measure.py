"""Figures are computed as the tables say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measure import (
    Load,
    Stopwatch,
    children_of,
    cpu_of,
    file_bytes,
    median_load,
    memory_of,
    quantile,
)
from bench.report import BEGIN, END, between_markers


def load(seconds: float) -> Load:
    """A thousand rows in this time."""
    return Load(1_000, seconds, 0.5, 1 << 20, 50_000)


def test_a_load_has_rates() -> None:
    """Rows a second, CPU seconds a million, bytes a row."""
    one = load(2.0)

    assert (one.rate, one.cpu_per_million, one.bytes_per_row) == (500, 500, 50)


def test_the_median_is_one_of_the_runs() -> None:
    """Its figures belong together: nothing is mixed from several runs."""
    runs = [load(3.0), load(1.0), load(2.0)]

    assert median_load(runs) is runs[2]


def test_quantiles_are_values_that_occurred() -> None:
    """The 99th of a hundred values is near the top, the median in the middle."""
    values = [float(n) for n in range(100)]

    assert quantile(values, 0.5) == 50
    assert quantile(values, 0.99) == 99
    assert quantile([7.0], 0.999) == 7


def test_a_stopwatch_adds_its_stretches() -> None:
    """Only what runs inside it counts."""
    watch = Stopwatch()
    for _ in range(2):
        with watch.running():
            sum(range(100_000))

    assert 0 < watch.cpu_seconds <= watch.seconds + 0.02


def test_processes_are_measured_from_outside() -> None:
    """CPU, memory and children of a process that is not this one."""
    command = [sys.executable, "-uc", "print(); input()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        child.stdout.readline()

        assert child.pid in children_of(os.getpid())
        assert memory_of(child.pid) > 1 << 20
        assert cpu_of(child.pid) >= 0
        child.communicate(b"\n")


def test_files_and_folders_are_weighed(tmp_path: Path) -> None:
    """All files below a folder; what is absent weighs nothing."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"123")

    assert file_bytes(tmp_path) == 8
    assert file_bytes(tmp_path / "b", tmp_path / "absent") == 3


def test_only_what_is_between_the_markers_changes() -> None:
    """The rest of the README stays, and without markers nothing is guessed."""
    text = f"# Title\n{BEGIN}\nold\n{END}\nend\n"

    assert between_markers(text, "new") == f"# Title\n{BEGIN}\nnew\n{END}\nend\n"
    with pytest.raises(ValueError, match="has no"):
        between_markers("# Title", "new")
