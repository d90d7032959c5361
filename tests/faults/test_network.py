"""A network that fails in one way or another costs nothing but time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.network import CABLE, RELAY
from tests.faults.report import Figures


def check(found: Figures) -> None:
    """Everything there, once, in order."""
    assert found.holds, found
    assert found.entries > 10_000


@pytest.mark.requires("netns")
@pytest.mark.requires_tool("iptables")
@pytest.mark.requires_tool("tc")
@pytest.mark.parametrize("name", CABLE)
def test_what_a_network_does_costs_nothing(name: str, tmp_path: Path) -> None:
    """Cut, black hole, loss, resets: but time."""
    check(CABLE[name](tmp_path, long=False))


@pytest.mark.parametrize("name", RELAY)
def test_broken_connections_cost_nothing(name: str, tmp_path: Path) -> None:
    """In the middle of a frame, or so that one side does not notice."""
    check(RELAY[name](tmp_path, long=False))
