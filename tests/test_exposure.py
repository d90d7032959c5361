"""Where ZeroMQ sockets may listen without keys: nowhere that other machines reach."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.settings import load
from tests.ingester.process import Process

ELSEWHERE = ("tcp://0.0.0.0:5", "tcp://*:5", "tcp://[::]:5", "tcp://10.0.0.1:5")
HERE = ("tcp://127.0.0.1:5", "tcp://[::1]:5", "tcp://localhost:5", "ipc:///run/x")


@pytest.mark.parametrize("section", ["ingest", "publish"])
@pytest.mark.parametrize("endpoint", ELSEWHERE)
def test_other_machines_need_a_key(section: str, endpoint: str) -> None:
    """The error names the field and both ways out; with CURVE it is none."""
    flags = {f"{section}.endpoint": endpoint}

    with pytest.raises(ConfigError) as caught:
        load(None, {}, flags)

    assert caught.value.path == f"{section}.endpoint"
    assert "nobody needs a key" in caught.value.problem
    assert "curve.enabled: true" in caught.value.expected
    assert load(None, {}, {**flags, "curve.enabled": True}).curve.enabled


@pytest.mark.parametrize("section", ["ingest", "publish", "control"])
@pytest.mark.parametrize("endpoint", HERE)
def test_this_machine_needs_none(section: str, endpoint: str) -> None:
    """Its own addresses, and files."""
    load(None, {}, {f"{section}.endpoint": endpoint})


@pytest.mark.parametrize("endpoint", ELSEWHERE)
def test_the_control_socket_is_for_this_machine_alone(endpoint: str) -> None:
    """A producer's key must not delete."""
    with pytest.raises(ConfigError, match=r"control\.endpoint"):
        load(None, {}, {"control.endpoint": endpoint, "curve.enabled": True})


def test_an_ingester_that_others_reach_does_not_start(tmp_path: Path) -> None:
    """It says why, and nothing listens."""
    ingester = Process(tmp_path)
    ingester.environment["PIPELINE_INGEST__ENDPOINT"] = "tcp://0.0.0.0:5"

    ended = ingester.second()

    assert ended.returncode != 0
    assert "ingest.endpoint" in ended.stderr
    assert not ingester.database.exists()
