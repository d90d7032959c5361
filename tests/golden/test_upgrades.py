"""A store and a spool of every version that ever was open in this one, and go on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline import Collector, control
from pipeline.backup.restore import restore
from pipeline.backup.verify import verify_backups
from pipeline.collectors.location import spool_folder
from pipeline.store.schema import VERSION
from pipeline.store.verify import verify_store
from pipeline.timestamp import parse_timestamp
from tests.cli.shell import Shell
from tests.golden.upgrades.make import COMMITS, FOLDER, KEPT, unpack

FIRST_WITH_SPOOL, FIRST_WITH_BACKUPS = 4, 6

NEW = {"timestamp": 1_763_999_999_000_000_000, "message": "logged by this version"}


class Place:
    """An unpacked fixture, and this version's programs on it."""

    def __init__(self, folder: Path, name: str) -> None:
        unpack(FOLDER / f"{name}.tar.zst", folder)
        self.folder = folder
        self.path = folder / "store.db"
        self.logged = json.loads((folder / "entries.json").read_text())
        self.ingest = f"ipc://{folder}/i"
        self.publish = f"ipc://{folder}/o"
        self.environ = {
            **os.environ,
            "PIPELINE_INGEST__ENDPOINT": self.ingest,
            "PIPELINE_PUBLISH__ENDPOINT": self.publish,
            "PIPELINE_STORAGE__DB_PATH": str(self.path),
        }

    def exported(self, *words: str) -> list[dict[str, Any]]:
        """Entries that the shell exports, in the order of their times."""
        command = [sys.executable, "-m", "pipeline", "export", "--db", str(self.path)]
        done = subprocess.run(
            [*command, *words], env=self.environ, check=True, capture_output=True
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def spool(self) -> Path:
        """Where this version looks for what the old one has left."""
        base = self.folder / "now"
        folder = spool_folder(base, self.ingest)
        files = [file for file in self.folder.rglob("spool/**/*") if file.is_file()]
        if files and folder is not None:
            folder.parent.mkdir(parents=True)
            {file.parent for file in files}.pop().rename(folder)
        return base

    def ingester(self) -> subprocess.Popen[str]:
        """This version's, when it is ready."""
        child = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "ingester"],
            env=self.environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stderr is not None
        line = child.stderr.readline()
        assert line.startswith("ingester ready"), line + child.stderr.read()
        return child


def as_logged(row: dict[str, Any]) -> dict[str, Any]:
    timestamp = parse_timestamp(row["timestamp"], 0)
    return {**{name: row[name] for name in row if name != "id"}, "timestamp": timestamp}


def ordered(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["timestamp"], row["message"]))


@pytest.mark.parametrize("name", sorted(COMMITS))
def test_what_an_old_version_left_is_read_and_logged_on(name, tmp_path):
    """Each stored entry with its id, before and compacted; each spooled one, once."""
    place = Place(tmp_path, name)
    logged = place.logged
    spool = place.spool()
    before = place.exported()
    head = verify_store(place.path).head or None
    with place.ingester() as child:
        try:
            with Collector(
                place.ingest, acknowledge_endpoint=place.publish, spool_dir=spool
            ) as log:
                time, message = NEW["timestamp"], NEW["message"]
                log.log("INFO", message, timestamp=time, source="new")
                assert log.flush(20)
                await_adopted(log, len(logged["spooled"]))
            control.Client(control.endpoint_of("", str(place.path))).compact()
        finally:
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == 0
    after = place.exported()

    stored = [as_logged(row) for row in before if row["source"] in ("web", "db")]
    assert ordered(stored) == ordered(logged["stored"])
    lines = [row["message"] for row in before if row["source"] == "files"]
    assert sorted(lines) == sorted(logged["lines"])
    assert [row for row in after if row in before] == before
    more = [as_logged(row) for row in after if row not in before]
    assert more[-1]["message"] == NEW["message"]
    assert ordered(more[:-1]) == ordered(logged["spooled"])
    found = place.exported('"user 3" path:="/orders/3"')
    assert [row["message"] for row in found] == [
        row["message"]
        for row in ordered(logged["stored"] + logged["spooled"])
        if "user 3 " in row["message"] and row["metadata"]["path"] == "/orders/3"
    ]
    assert version_of(place.path) == VERSION
    verdict = verify_store(place.path, expected=head)
    assert (verdict.is_sound, verdict.flaws, verdict.notes) == (True, [], [])


@pytest.mark.parametrize("name", sorted(KEPT))
def test_what_an_old_version_kept_is_restored_and_asked(name, tmp_path):
    """Each backup has what there was then; the archive is read alone and beside."""
    unpack(FOLDER / f"{name}.tar.zst", tmp_path)
    kept = json.loads((tmp_path / "entries.json").read_text())
    verdicts = verify_backups(tmp_path / "backups")
    restored = []
    for backup, count in zip(sorted(verdicts), kept["backups"], strict=True):
        path = tmp_path / f"{backup}.db"
        restore(tmp_path / "backups", path, backup)
        restored.append(verify_store(path))
        assert entries_of(path) == ordered(kept["rows"][:count])
    (archive,) = (tmp_path / "archive").glob("*.db")
    store = tmp_path / "store.db"

    assert all(each.is_sound for each in (*verdicts.values(), *restored))
    assert verify_store(archive).is_sound
    assert entries_of(archive) == ordered(kept["rows"][: kept["archived"]])
    assert entries_of(store) == ordered(kept["rows"][kept["archived"] :])
    assert entries_of(store, "--attach", str(archive)) == ordered(kept["rows"])


def entries_of(path: Path, *words: str) -> list[dict[str, Any]]:
    """What the shell exports of a store, but the audit of who archived."""
    lines = Shell(path).lines("export", "--source", "web", "--source", "db", *words)
    return [as_logged(json.loads(line)) for line in lines]


def test_every_version_has_left_something(tmp_path):
    """None is missing, the present one included, nor a spool since there are spools."""
    places = [Place(tmp_path / name, name) for name in COMMITS]

    versions = [version_of(place.path) for place in places]
    spooled = {
        version
        for version, place in zip(versions, places, strict=True)
        if place.logged["spooled"] and [*place.folder.rglob("*.spool")]
    }

    assert {*versions} == {*range(1, VERSION + 1)}
    assert {*KEPT} == {f"kept-{n}" for n in range(FIRST_WITH_BACKUPS, VERSION + 1)}
    assert spooled == {*range(FIRST_WITH_SPOOL, VERSION + 1)}


def version_of(path: Path) -> int:
    """Of a database's tables."""
    with closing(sqlite3.connect(path)) as connection:
        ((version,),) = connection.execute("PRAGMA user_version")
    return int(version)


def await_adopted(log: Collector, count: int) -> None:
    """Until what lay in the spool is durable."""
    for _ in range(200):
        if log.stats()["adopted_rows"] == count:
            return
        signal.sigtimedwait([], 0.05)
    raise AssertionError(log.stats())
