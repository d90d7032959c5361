"""`pipeline config`: every error at once, and what holds with its origin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings import load
from tests.conftest import NO_CANARY

WRONG = """\
server:
  prot: 8888
  host: ""
storage:
  max_days: 0
  rules:
    - {level: DEBUG, keep: 2x}
    - {sorce: web, keep: 2d}
"""
CHANNELS = """\
storage:
  max_days: 7
  rules: [{level: DEBUG, keep: 2d}]
alerts:
  channels:
    - console
    - {type: slack, url: "https://hooks.example.org/${TOKEN}"}
"""


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even what all tests need: it would be shown."""
    monkeypatch.delenv(NO_CANARY[0])


def config(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", "config", *words],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def write(tmp_path: Path):
    """Write a configuration file and return its path."""

    def _write(text: str) -> str:
        path = tmp_path / "given.yaml"
        path.write_text(text)
        return str(path)

    return _write


def test_every_error_is_told_at_once(write) -> None:
    """With its line and the nearest name, of the file and of the environment."""
    path = write(WRONG)
    done = config("check", "--config", path, PIPELINE_SERVER__PORT="99999999")

    assert done.returncode == 2
    assert done.stdout == ""
    assert [line.split(": ", 1)[1] for line in done.stderr.splitlines()] == [
        f"server.prot: unknown key ({path} line 2); expected server.port",
        f"server.host: '' is not allowed ({path} line 3);"
        " expected a text, like 127.0.0.1",
        f"storage.max_days: 0 is not allowed ({path} line 5);"
        " expected a whole number from 1 to 36500, like 30",
        f"storage.rules[0].keep: '2x' is not allowed ({path} line 7);"
        " expected a text, like 2d",
        f"storage.rules[1].sorce: unknown key ({path} line 8);"
        " expected storage.rules[1].source",
        "server.port: 99999999 is not allowed (environment, PIPELINE_SERVER__PORT);"
        " expected a whole number from 0 to 65535, like 8888",
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("storage: {rules: [{keep: 2d}]}", "storage.rules[0]: has neither source nor"),
        (
            'alerts: {rules: [{name: x, query: "level:eror", when: "count > 1"}]}',
            "alerts.rules[0].query",
        ),
        (CHANNELS, "alerts.channels[1].url: the environment has no TOKEN"),
    ],
)
def test_what_only_its_user_knows_is_checked_too(write, text, error) -> None:
    """Rules of retention, queries, channels."""
    done = config("check", "--config", write(text))

    assert done.returncode == 2
    assert error in done.stderr


def test_what_is_right_is_said_to_be() -> None:
    """Of the file that comes with the project."""
    done = config("check", "--config", "config/recursive.yaml")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("right: ")


def test_what_holds_says_where_it_came_from(write) -> None:
    """And is a file that gives the same settings again."""
    path = write(CHANNELS)
    given = ("--config", path, "--port", "9000")
    done = config("show", *given, TOKEN="abc", PIPELINE_STORAGE__MAX_SIZE_MB="77")
    lines = [line.strip() for line in done.stdout.splitlines()]

    assert "port: 9000  # flag --port" in lines
    assert "max_size_mb: 77  # environment, PIPELINE_STORAGE__MAX_SIZE_MB" in lines
    assert f"max_days: 7  # {path} line 2" in lines
    assert 'host: "127.0.0.1"  # default' in lines
    again = load(write(done.stdout))
    environ = {"PIPELINE_STORAGE__MAX_SIZE_MB": "77"}
    assert again == load(write(CHANNELS), environ, {"server.port": 9000})


def test_secrets_are_not_shown(write) -> None:
    """Where one stands is, and itself is not."""
    text = CHANNELS + "    - {type: webhook, url: https://example.org/s3cret}\n"
    done = config("show", "--given", "--json", "--config", write(text), TOKEN="abc")
    shown = json.loads(done.stdout)
    channels = shown["alerts.channels"]["value"]

    assert set(shown) == {"storage.max_days", "storage.rules", "alerts.channels"}
    assert channels[1]["url"] == "https://hooks.example.org/${TOKEN}"
    assert channels[2]["url"] == "***"
    assert "abc" not in done.stdout
