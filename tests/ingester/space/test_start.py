"""An ingester that is started on a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.ingester.space.reserve import Reserve
from tests.faults.disk import fill
from tests.faults.processes import Ingester, wait_for
from tests.faults.volume import tmpfs


@pytest.mark.requires("root", "tmpfs")
def test_it_waits_for_room(tmp_path: Path) -> None:
    """What ended would be given up by its supervisor."""
    with tmpfs(tmp_path / "disk", 8) as disk:
        fill(disk / "ballast")
        ingester = Ingester(tmp_path, STORAGE__DB_PATH=str(disk / "logs.db"))
        ingester.begin()
        try:
            wait_for("it waits", lambda: "starts when there is room" in ingester.text)
            (disk / "ballast").unlink()
            ingester.await_ready()

            assert ingester.stop() == 0
        finally:
            ingester.end()


@pytest.mark.requires("root", "tmpfs")
def test_it_can_be_asked_to_stop_while_it_waits(tmp_path: Path) -> None:
    """It has nothing to make durable."""
    with tmpfs(tmp_path / "disk", 8) as disk:
        fill(disk / "ballast")
        ingester = Ingester(tmp_path, STORAGE__DB_PATH=str(disk / "logs.db"))
        ingester.begin()
        try:
            wait_for("it waits", lambda: "starts when there is room" in ingester.text)

            assert ingester.stop() == 0
        finally:
            ingester.end()


@pytest.mark.requires("root", "tmpfs")
def test_the_reserve_lets_it_start(tmp_path: Path) -> None:
    """It was made when there was room."""
    with tmpfs(tmp_path / "disk", 8) as disk:
        Reserve(disk / "logs.db").make(1_000_000)
        fill(disk / "ballast")
        ingester = Ingester(tmp_path, STORAGE__DB_PATH=str(disk / "logs.db"))
        try:
            ingester.start()

            assert not (disk / "logs.db.reserve").exists()
        finally:
            ingester.end()
