"""The README is true: its links lead somewhere and its programs run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.gateway.methods.table import METHODS
from tests.running import RunningIngester

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.S)


PAGES = [ROOT / "README.md", *sorted((ROOT / "pipeline").glob("**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of every page."""
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[RunningIngester]:
    """One that the programs log to."""
    running = RunningIngester(tmp_path)
    running.start()
    yield running
    running.stop()


def test_every_method_is_named() -> None:
    """In the table of what can be asked."""
    assert [name for name in METHODS if f"`{name}`" not in README] == []


def test_its_programs_log(ingester: RunningIngester) -> None:
    """Each of them as it stands, but for the address."""
    for program in PROGRAMS:
        program = program.replace("tcp://127.0.0.1:5555", ingester.ingest)
        subprocess.run(
            [sys.executable, "-c", program], env=ingester.environment, check=True
        )
    ingester.wait_for("backup took 3 h")

    found = {(entry.source, entry.message) for entry in ingester.entries()}
    assert found == {
        ("web", "started"),
        ("billing", "invoice 7 is late"),
        ("cron", "backup took 3 h"),
    }
