"""What this machine can do, and which skips CI accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import conftest
from tests.capabilities import PROBES, Absent, absent, need

pytest_plugins = ["pytester"]

FAULTS = """
import pytest

@pytest.mark.requires("moonlight")
def test_of_another_machine(): pass

@pytest.mark.requires("root")
def test_without_an_excuse(): pytest.skip("not today")

@pytest.mark.requires_tool("no-such-tool")
def test_of_a_tool(): pass
"""


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_answers_twice_alike(name):
    """It leaves nothing behind that would change the next answer."""
    assert PROBES[name]() == PROBES[name]()


def test_an_absent_program_is_named():
    """With what installs it."""
    said = "no-such-tool is absent; `make test-tools` installs it"

    assert absent("no-such-tool") == said
    with pytest.raises(Absent, match="no-such-tool"):
        need("python3", "no-such-tool")


@pytest.mark.parametrize(
    ("in_ci", "failed", "errors", "skipped"),
    [("true", 1, 1, 1), ("", 0, 0, 3)],
    ids=["ci", "here"],
)
def test_ci_accepts_only_what_the_machine_lacks(
    pytester, monkeypatch, in_ci, failed, errors, skipped
):
    """A tool can be installed, and a fault that can be run must not be skipped."""
    monkeypatch.setenv("CI", in_ci)
    monkeypatch.setitem(PROBES, "moonlight", lambda: False)
    monkeypatch.setitem(PROBES, "root", lambda: True)
    absent.cache_clear()
    pytester.makeini("[pytest]\nmarkers =\n  requires: a\n  requires_tool: b")
    pytester.makeconftest(Path(conftest.__file__).read_text())
    pytester.mkdir("faults").joinpath("test_it.py").write_text(FAULTS)

    found = pytester.runpytest_inprocess()
    found.assert_outcomes(failed=failed, errors=errors, skipped=skipped)
    absent.cache_clear()
