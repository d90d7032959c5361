"""Power cuts: the disk stops taking writes under load, and is mounted again.

The disk is ext4 (data=ordered) on a loop device.  At the cut the file system is shut
down without writing its journal: what was not synced is in no image, what was being
written is there in part.  What the services had been told was durable is noted before
the cut; all of it has to be there after the journal and the WAL have been replayed.

The same is done to the disk of a service that logs into its spool, without an ingester:
what was accepted before the cut has to be there once a later session has sent it, if
each row was synced.
"""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.capabilities import need
from tests.faults.kills import KEEPS_PACE, inherit
from tests.faults.oracle import Claim, check
from tests.faults.processes import Ingester, Producer, started
from tests.faults.report import Figures
from tests.faults.site import Site, folder_of
from tests.faults.volume import Disk, tmpfs

MEGABYTES = 1024
LEAST = 20_000
"""Entries before a cut."""

LOAD_SECONDS = 1.5
HEIR = "heir"


SPOOL_MEGABYTES = 512
FLAT_OUT_SECONDS = 1.5
"""More than between two syncs of fsync "interval"."""

SYNCED_LEAST = 1_000
"""Entries that are older than the last sync, in each cut."""


class Cut(NamedTuple):
    """What one cut has cost."""

    entries: int
    lost: int
    doubled: int
    disordered: int
    unknown: int
    said: str = ""


def power_cuts(folder: Path, *, long: bool) -> Figures:
    """With storage.durability disk."""
    return _cuts(folder, "disk", 20 if long else 2)


def power_cuts_process(folder: Path, *, long: bool) -> Figures:
    """With storage.durability process, which promises less."""
    return _cuts(folder, "process", 20 if long else 1)


def _cuts(folder: Path, durability: str, count: int) -> Figures:
    need("root", "loop", "tmpfs", "mkfs.ext4")
    found = []
    for number in range(count):
        with tmpfs(folder / f"memory{number}", 2 * MEGABYTES) as memory:
            found.append(_cut(folder_of(folder, f"{number}"), memory, durability))
    false_alarms = sum("damaged" in cut.said for cut in found)
    with_loss = sum(cut.lost > 0 for cut in found)
    is_disk = durability == "disk"
    return Figures(
        "power cut" if is_disk else "  with durability process",
        count,
        sum(cut.entries for cut in found),
        sum(cut.lost for cut in found),
        sum(cut.doubled for cut in found),
        sum(cut.disordered for cut in found),
        note=f"acknowledged and lost in {with_loss} cuts; {false_alarms} false alarms",
        unknown=sum(cut.unknown for cut in found) + false_alarms,
        is_control=not is_disk,
    )


def _cut(folder: Path, memory: Path, durability: str) -> Cut:
    rng = random.Random(folder.name)
    disk = Disk(memory, MEGABYTES)
    place = disk.folder / "logs.db"
    settings = {"STORAGE__DB_PATH": str(place), "STORAGE__DURABILITY": durability}
    with disk.mounted():
        site = Site(Ingester(folder, **settings))
        with site.running():
            site.wait_for_entries(LEAST)
            time.sleep(rng.uniform(0, LOAD_SECONDS))
            # half of them while the kernel writes back what nobody has synced
            writing_back = threading.Thread(target=os.sync)
            if rng.random() < 0.5:
                writing_back.start()
                time.sleep(rng.uniform(0, 0.02))
            promised = [producer.oracle.settled for producer in site.producers]
            disk.cut()
            tried = [producer.oracle.tried for producer in site.producers]
        if writing_back.ident is not None:
            writing_back.join()
    with disk.mounted():
        said = _start_and_stop(site.ingester)
        claims = [
            Claim(producer.oracle.source, most, least)
            for producer, least, most in zip(
                site.producers, promised, tried, strict=True
            )
        ]
        verdict = check(place, claims)
    disk.check()
    return Cut(*verdict[:5], said)


def spool_cuts(folder: Path, *, long: bool) -> Figures:
    """With fsync always."""
    return _spool_cuts(folder, "always", 20 if long else 2)


def spool_cuts_interval(folder: Path, *, long: bool) -> Figures:
    """With fsync interval, which promises all but the last second."""
    found = _spool_cuts(folder, "interval", 20 if long else 1)
    assert found.entries > found.runs * SYNCED_LEAST, "nothing was synced"
    return found


def spool_cuts_none(folder: Path, *, long: bool) -> Figures:
    """With fsync none, which promises nothing of a power cut."""
    return _spool_cuts(folder, "none", 20 if long else 1)


def _spool_cuts(folder: Path, fsync: str, count: int) -> Figures:
    need("root", "loop", "tmpfs", "mkfs.ext4")
    found = []
    for number in range(count):
        with tmpfs(folder / f"memory{number}", 2 * SPOOL_MEGABYTES) as memory:
            found.append(_spool_cut(folder_of(folder, f"{number}"), memory, fsync))
    lost = [cut.lost for cut in found]
    return Figures(
        f"power cut of a service, fsync {fsync}",
        count,
        sum(cut.entries for cut in found),
        sum(lost),
        sum(cut.doubled for cut in found),
        sum(cut.disordered for cut in found),
        note=f"accepted and lost in one cut: {min(lost):,} to {max(lost):,}",
        unknown=sum(cut.unknown for cut in found),
        is_control=fsync != "always",
    )


def _spool_cut(folder: Path, memory: Path, fsync: str) -> Cut:
    rng = random.Random(f"{fsync} {folder.name}")
    disk = Disk(memory, SPOOL_MEGABYTES)
    ingester = Ingester(folder)
    place = ("--spool-dir", str(disk.folder / "spool"))
    options = ("--spool", "always", "--fsync", fsync, "--threads", "4")
    producer = Producer(ingester, "p0", *place, *options)
    with disk.mounted(), started(producer):
        time.sleep(FLAT_OUT_SECONDS + rng.uniform(0, LOAD_SECONDS))
        accepted = [oracle.accepted for oracle in producer.oracles]
        disk.cut()
        tried = [oracle.tried for oracle in producer.oracles]
    heir = Producer(ingester, HEIR, *place, *KEEPS_PACE)
    with disk.mounted(), started(ingester):
        inherit(heir, disk.folder / "spool")
        assert ingester.stop() == 0, ingester.text
    claims = [
        Claim(oracle.source, most, least)
        for oracle, least, most in zip(producer.oracles, accepted, tried, strict=True)
    ]
    disk.check()
    return Cut(*check(ingester.database, [*claims, heir.oracle])[:5])


def _start_and_stop(ingester: Ingester) -> str:
    try:
        ingester.start()
        assert ingester.stop() == 0, ingester.text
    finally:
        ingester.end()
    return ingester.text


FAULTS = {
    "power-cuts": power_cuts,
    "power-cuts-process": power_cuts_process,
    "spool-cuts": spool_cuts,
    "spool-cuts-interval": spool_cuts_interval,
    "spool-cuts-none": spool_cuts_none,
}
