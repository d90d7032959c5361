"""Power cuts: the disk stops taking writes under load, and is mounted again.

The disk is ext4 (data=ordered) on a loop device.  At the cut the file system is shut
down without writing its journal: what was not synced is in no image, what was being
written is there in part.  What the services had been told was durable is noted before
the cut; all of it has to be there after the journal and the WAL have been replayed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.capabilities import need
from tests.faults.oracle import Claim, check
from tests.faults.processes import Ingester
from tests.faults.report import Figures
from tests.faults.site import Site, folder_of
from tests.faults.volume import Disk, tmpfs

MEGABYTES = 1024
LEAST = 20_000
"""Entries before a cut."""

LOAD_SECONDS = 1.5


class Cut(NamedTuple):
    """What one cut has cost."""

    entries: int
    lost: int
    doubled: int
    disordered: int
    unknown: int
    said: str


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


def _start_and_stop(ingester: Ingester) -> str:
    try:
        ingester.start()
        assert ingester.stop() == 0, ingester.text
    finally:
        ingester.end()
    return ingester.text


FAULTS = {"power-cuts": power_cuts, "power-cuts-process": power_cuts_process}
