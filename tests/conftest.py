"""What all tests share: what may be absent, and an environment of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.capabilities import absent

# a machine under load is slow: no test may fail for that
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")

# under nohup, or behind a shell's &, all programs of the tests would inherit it
for number in (signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

# entries that a test did not log would be counted with its own
NO_CANARY = ("PIPELINE_METRICS__CANARY_SECONDS", "0")
os.environ.setdefault(*NO_CANARY)

WAITING = ("bench", "end_to_end", "faults", "deploy", "collectors", "cli", "mcp")
"""Folders whose tests mostly wait for processes."""

_EXCUSED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that wait come first: one of them at the end would have all wait for it.

    Together with --no-loadscope-reorder, else xdist begins with the largest files.
    """
    rank = {name: number for number, name in enumerate(WAITING)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(WAITING)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip by name what needs something absent.

    `requires_tool("strace")` fails with CI=true, where it should have been installed;
    `requires("netns")` names what no installation brings.
    """
    in_ci = os.environ.get("CI") == "true"
    for marker in item.iter_markers("requires"):
        for name in marker.args:
            if (reason := absent(name)) is not None:
                item.stash[_EXCUSED] = True
                pytest.skip(reason)
    for marker in item.iter_markers("requires_tool"):
        if (reason := absent(marker.args[0])) is not None:
            if in_ci:
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """With CI=true a fault that the machine can run must not be skipped.

    What was logged is made fit to be sent: xdist's workers report as UTF-8, which has
    no lone surrogates, and some tests log them.
    """
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode())
        for name, text in report.sections
    ]
    excused = item.stash.get(_EXCUSED, False) or os.environ.get("CI") != "true"
    if report.skipped and "faults" in item.path.parts and not excused:
        report.outcome = "failed"
        report.longrepr = (
            f"skipped, though the machine can run it: {report.longrepr[2]}"
        )
    return report


@pytest.fixture(scope="session", autouse=True)
def _no_state_at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Spools of the tests' processes are not the developer's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own PIPELINE_ variables don't reach the tests."""
    for name in [name for name in os.environ if name.startswith("PIPELINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(*NO_CANARY)
