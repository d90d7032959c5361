"""Which processes are started, and how."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.cli.procfile import BUILT_IN, Program, programs
from pipeline.errors import ConfigError

ROOT = Path(__file__).parents[2]


def test_the_built_in_list_is_that_of_the_procfile():
    """With and without the repository the same processes are started."""
    found = programs(str(ROOT / "Procfile"))

    assert [program.words for program in found] == [
        ("python", "-m", "pipeline", word) for word in BUILT_IN.values()
    ]


def test_without_a_procfile_the_built_in_list_is_used(tmp_path, monkeypatch):
    """The package is installed, the repository is not there."""
    monkeypatch.chdir(tmp_path)

    assert [program.name for program in programs(None)] == list(BUILT_IN)


def test_the_procfile_of_another_application_is_left_alone(tmp_path, monkeypatch):
    """`pipeline up` in an application's folder must not start that application."""
    (tmp_path / "Procfile").write_text("web: rails server\n")
    monkeypatch.chdir(tmp_path)

    assert [program.name for program in programs(None)] == list(BUILT_IN)


def test_the_procfile_here_may_choose_processes(tmp_path, monkeypatch):
    """Comments and blank lines are skipped."""
    (tmp_path / "Procfile").write_text("# one\n\nin: python -m pipeline ingester\n")
    monkeypatch.chdir(tmp_path)

    assert [program.name for program in programs(None)] == ["in"]


def test_own_processes_get_the_flags_and_this_interpreter():
    """Others are executed as they stand."""
    own = Program("a", ("python", "-m", "pipeline", "ingester"))
    other = Program("b", ("sleep", "1"))

    assert own.command(["--port=1"]) == [
        *(sys.executable, "-m", "pipeline", "ingester"),
        "--port=1",
    ]
    assert other.command(["--port=1"]) == ["sleep", "1"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("no colon", "line 1: 'no colon'; expected name: command"),
        ("", "names no process"),
    ],
)
def test_what_is_wrong_in_a_procfile_is_named(tmp_path, text, error):
    """File, line, and what would be right."""
    path = tmp_path / "P"
    path.write_text(text)
    with pytest.raises(ConfigError, match=error):
        programs(str(path))
