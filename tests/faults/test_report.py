"""The report: what holds, and the table."""

from __future__ import annotations

import pytest

from tests.faults.report import Figures, table


def figures(**others):
    """Of a fault that went well."""
    return Figures("kill", 40, 1_000_000, 0, 0, 0)._replace(**others)


@pytest.mark.parametrize("count", ["lost", "doubled", "disordered", "unknown"])
def test_one_of_anything_is_too_much(count):
    """There is no tolerance."""
    assert figures().holds
    assert not figures(**{count: 1}).holds


def test_a_control_must_lose():
    """Else it shows nothing."""
    assert not figures(is_control=True).holds
    assert figures(is_control=True, lost=1).holds


def test_memory_has_a_limit_where_one_is_given():
    """In MB of 2^20 bytes, as all of them."""
    assert figures(peak_mb=100.1).holds
    assert figures(peak_mb=100, limit_mb=100).holds
    assert not figures(peak_mb=100.1, limit_mb=100).holds


def test_the_table_has_a_line_for_each():
    """Aligned, empty where nothing was measured."""
    found = table([figures(), figures(fault="cut", unknown=2)])

    assert found.splitlines() == [
        "fault  runs    entries  lost  double  disorder  s  MB",
        "kill     40  1,000,000     0       0         0",
        "cut      40  1,000,000     0       0         0         2 unknown",
    ]
