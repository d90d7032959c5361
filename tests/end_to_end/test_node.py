"""A client in Node talks to a running pipeline."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.mark.requires_tool("node")
def test_node_talks_json_rpc(pipeline):
    """Its own tests pass."""
    program = Path(__file__).with_name("node_client.mjs")
    ended = subprocess.run(
        ["node", "--test", program],
        env={**os.environ, "PIPELINE_URL": pipeline.url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "# pass 4" in ended.stdout
