"""The command line: commands, errors, and what each command loads."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from importlib import import_module
from importlib.util import find_spec

import pytest

from pipeline.cli import COMMANDS, main


def test_the_help_lists_every_command(capsys):
    """With what each is for."""
    assert main(["--help"]) == 0

    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


def test_the_version_is_that_of_the_distribution(capsys):
    """One word and a number."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("pipeline 0.")


def test_an_unknown_command_names_the_nearest(capsys):
    """Exit code 2, one line."""
    assert main(["colect"]) == 2
    assert capsys.readouterr().err == (
        "pipeline: 'colect' is no command; did you mean 'collect'?\n"
    )


@pytest.mark.parametrize("command", ["ingester", "gateway", "up", "collect"])
def test_a_wrong_setting_is_one_line(command, capsys):
    """Exit code 2, and no traceback."""
    assert main([command, "--port", "x"]) == 2
    assert capsys.readouterr().err == (
        f"pipeline {command}: server.port: 'x' is a text (flag --port); "
        "expected a whole number from 0 to 65535, like 8888\n"
    )


def test_a_channel_that_there_is_not_stops_up(capsys, monkeypatch):
    """Before any process is started: a restart would not help."""
    monkeypatch.setenv("PIPELINE_ALERTS__CHANNELS", "pager")
    assert main(["up"]) == 2
    assert capsys.readouterr().err.startswith(
        "pipeline up: alerts.channels: no channel 'pager'; expected console, file, "
    )


def test_the_gateway_ends_before_up_kills_it():
    """A listener that reads nothing keeps it twice that long; entries come after."""
    parser = ArgumentParser()
    import_module("pipeline.cli.up").add_arguments(parser)
    drain = import_module("pipeline.gateway.server").DRAIN_SECONDS

    assert 2 * drain < 0.7 * parser.get_default("grace_seconds")


def test_options_alone_mean_up(capsys):
    """`python -m pipeline --host H --port P` starts everything."""
    assert main(["--host", "127.0.0.1", "--port", "x"]) == 2
    assert capsys.readouterr().err.startswith("pipeline up: server.port")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_its_module(command):
    """`add_arguments` and `run` are what the dispatcher calls."""
    module = f"pipeline.cli.{command.replace('-', '_')}"
    assert find_spec(module) is not None
    assert callable(import_module(module).add_arguments)
    assert callable(import_module(module).run)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_module_of_a_command_loads_little(command):
    """Heavy libraries wait for `run`, so that `--help` and the supervisor are quick."""
    module = f"pipeline.cli.{command.replace('-', '_')}"
    heavy = "{'numpy','aiohttp','zmq','msgspec','sqlite3','zstandard','yaml','asyncio'}"
    program = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == ""
