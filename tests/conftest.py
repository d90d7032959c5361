"""What all tests share: tools that may be absent, and an environment of their own."""

from __future__ import annotations

import os
import shutil

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`requires_tool("strace")`: skip by name where it is absent, but fail with CI."""
    for marker in item.iter_markers("requires_tool"):
        tool = marker.args[0]
        if shutil.which(tool) is None:
            absent = f"{tool} is absent; `make test-tools` installs it"
            if os.environ.get("CI") == "true":
                pytest.fail(absent, pytrace=False)
            pytest.skip(absent)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own PIPELINE_ variables don't reach the tests."""
    for name in [name for name in os.environ if name.startswith("PIPELINE_")]:
        monkeypatch.delenv(name)
