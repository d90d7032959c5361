"""The page of the shell is true: every command line of it runs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pipeline.cli import COMMANDS
from tests.cli.shell import COMMAND, Shell, entry, fill

PAGE = Path(__file__).parents[2].joinpath("pipeline", "cli", "SHELL.md").read_text()
LINES = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    for line in block.splitlines()
]
OTHERS = {
    "up",
    "send",
    "ledger",
    "mcp",
    "token",
    "keys",
    "config",
    "doctor",
    "ingester",
    "analyzer",
    "gateway",
    "collect",
}


@pytest.mark.parametrize("line", LINES)
def test_each_command_line_runs(tmp_path, line):
    """Over some entries; `timeout` ends what would go on."""
    fill(tmp_path / "logs.db", [entry(number) for number in range(20)])
    words = " ".join(COMMAND)
    (tmp_path / "pipeline").write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    (tmp_path / "pipeline").chmod(0o755)
    shell = Shell(tmp_path / "logs.db")
    environment = shell.environment
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=environment
        | {"PATH": f"{tmp_path}:{environment['PATH']}"}
        | {"PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )

    expected = {124} if "timeout 1" in line else {0, 141}
    assert done.returncode in expected, done.stderr
    assert done.stderr == b""


def test_every_command_that_asks_is_on_the_page():
    """With what it shows."""
    asking = {name for name in COMMANDS if not name.endswith("-worker")} - OTHERS

    assert set(re.findall(r"^\| `pipeline ([a-z-]+)` \|", PAGE, re.M)) == asking
