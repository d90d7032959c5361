"""Disks that fail under the spool: what was accepted is there, or its loss is noticed.

`lost` counts rows whose append had returned and that an adopter does not find.  A write
that the disk only pretends to have done costs its row, whatever one does: there `lost`
counts what is missing beyond those, and what is missing without being noticed.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.delivery.spool import Batch, Fsync, Spool, orphans
from pipeline.delivery.spool.records import HEAD_BYTES, RECORD_BYTES, RowPacker
from tests.capabilities import need
from tests.faults.report import Figures
from tests.faults.spooler import ACCEPTED, TRIED, Notes, append, spooled_row

RECORD: Final = RECORD_BYTES + len(RowPacker().pack(spooled_row(1)))
"""Bytes of a record of one row."""

DISK_KIB: Final = 768
LIMIT: Final = 512 << 10


@dataclass
class Checked:
    """What an adopter has found, against what was noted."""

    entries: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    unknown: int = 0
    noticed: int = 0
    """Places of damage, and torn tails."""
    numbers: list[int] = field(default_factory=list)

    def figures(self, fault: str, runs: int, note: str = "") -> Figures:
        """For the table."""
        counts = (self.entries, self.lost, self.doubled, self.disordered)
        return Figures(fault, runs, *counts, note=note, unknown=self.unknown)

    def add(self, other: Checked) -> None:
        """Count another run, too."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def check(folder: Path, notes: Notes) -> Checked:
    """Adopt the only spool, read it to its end, delete it."""
    (spool,) = orphans(folder)
    found = Checked()
    known = notes.having((TRIED, ACCEPTED))
    for number, same in read(spool):
        found.numbers.append(number)
        found.unknown += not same or number not in known
    numbers = set(found.numbers)
    found.entries = len(numbers)
    found.doubled = len(found.numbers) - len(numbers)
    found.disordered = sum(
        a > b for a, b in zip(found.numbers, found.numbers[1:], strict=False)
    )
    found.lost = len(notes.having((ACCEPTED,)) - numbers)
    found.noticed = spool.damaged + bool(spool.torn_bytes)
    spool.close(remove=True)
    return found


def read(spool: Spool) -> Iterator[tuple[int, bool]]:
    """Each number that can be read, and whether its row is the one appended."""
    following = 1
    while records := spool.read(following, 1000, 1 << 20):
        for record in records:
            assert not isinstance(record, Batch)
            for number, row in enumerate(record.rows, record.number):
                yield number, row == spooled_row(number)
            following = record.number + len(record.rows)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of DISK_KIB."""
    need("tmpfs")
    folder.mkdir()
    options = f"size={DISK_KIB}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


def fill(spool: Spool, notes: Notes, number: int) -> int:
    """Append until the disk is full, and a little longer; the next number."""
    refused = 0
    while refused < 50:
        refused += not append(spool, notes, number)
        number += 1
    return number


def spool_disk_full(folder: Path, *, long: bool) -> Figures:
    """The disk is full: refused with its name; it goes on as soon as there is room."""
    total, wrong = Checked(), 0
    runs = 5 if long else 2
    for run in range(runs):
        fsync: Fsync = "interval" if run % 2 else "always"
        notes = Notes(folder / f"notes{run}", 20_000)
        with small_disk(folder / "disk") as disk:
            (disk / "other").write_bytes(bytes((DISK_KIB << 9) - 20_000))
            spool = Spool(disk / "spool", bytes(16), limit_bytes=LIMIT, fsync=fsync)
            number = fill(spool, notes, 1)
            held = [found for found, _ in read(spool)]
            wrong += held != sorted(notes.having((ACCEPTED,)))
            wrong += shutil.disk_usage(disk).free > 4096
            sizes = [path.stat().st_size for path in disk.glob("spool/*.spool")]
            wrong += sum(sizes) != spool.bytes
            given_up = spool.drop_oldest()
            wrong += not append(spool, notes, number)
            for gone in held[:given_up]:
                notes[gone] = 0
            number = fill(spool, notes, number + 1)
            (disk / "other").unlink()
            wrong += not append(spool, notes, number)
            fill(spool, notes, number + 1)
            wrong += spool.bytes < spool.limit_bytes - RECORD
            spool.close()
            total.add(check(disk / "spool", notes))
    total.lost += wrong
    return total.figures("spool: disk full", runs)


@dataclass(frozen=True)
class Injection:
    """What strace does to a process."""

    name: str
    inject: str
    fsync: str = "none"
    lies: bool = False
    """Whether what is injected passes for success."""


INJECTIONS: Final = (
    Injection("spool: EIO", "pwrite64:error=EIO:when=20+17"),
    Injection("spool: ENOSPC", "pwrite64:error=ENOSPC:when=20+17"),
    Injection("spool: EIO for a while", "pwrite64:error=EIO:when=100..400"),
    Injection("spool: fsync fails", "fdatasync:error=EIO:when=5+7", "always"),
    Injection("spool: fsync fails later", "fdatasync:error=EIO:when=5+7", "interval"),
    Injection("spool: short lies", "pwrite64:retval=10:when=20+40", lies=True),
    Injection("spool: lies", f"pwrite64:retval={RECORD}:when=20+40", lies=True),
    Injection("spool: lies at first", f"pwrite64:retval={RECORD}:when=1..4", lies=True),
)


def run_spooler(folder: Path, rows: int, fsync: str, *options: str) -> list[int]:
    """Let one append; failed syncs and unsafe segments, as it says."""
    program = [sys.executable, "-m", "tests.faults.spooler"]
    words = [str(folder / "spool"), str(folder / "notes"), str(rows), fsync]
    limit = [word for word in options if word.isdigit()]
    before = [word for word in options if not word.isdigit()]
    ended = subprocess.run(
        [*before, *program, *words, *limit], capture_output=True, text=True, check=True
    )
    return [int(word) for word in ended.stdout.split()]


def injected(folder: Path, injection: Injection, rows: int) -> tuple[Checked, int]:
    """One run under strace; how many calls were tampered with."""
    need("strace")
    folder.mkdir()
    log = folder / "calls"
    call = injection.inject.split(":")[0]
    strace = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={call}"]
    said = run_spooler(
        folder, rows, injection.fsync, *strace, "-e", f"inject={injection.inject}"
    )
    tampered = log.read_text().count("(INJECTED)")
    notes = Notes(folder / "notes", rows)
    files = len(list(folder.glob("spool/*.spool")))
    found = check(folder / "spool", notes)
    if injection.fsync == "interval":
        found.lost += said != [tampered, tampered] or files < tampered
    elif injection.lies:
        # A lie about a file's head is found out and refused; one about its last record
        # leaves no hole in the bytes, only in the numbers.
        refused = rows - len(notes.having((ACCEPTED,)))
        unnoticed = tampered - found.noticed - refused
        found.lost = max(0, found.lost - tampered) + max(0, unnoticed - files)
    else:
        found.lost += len(notes.having((ACCEPTED,))) != rows - tampered
    return found, tampered


def spool_injection(folder: Path, injection: Injection, *, long: bool) -> Figures:
    """Calls that fail or lie, many times in each run."""
    total, tampered = Checked(), 0
    runs = 5 if long else 1
    for run in range(runs):
        rows = (5_000 if long else 800) + run
        found, count = injected(folder / f"{run}", injection, rows)
        total.add(found)
        tampered += count
    return total.figures(injection.name, runs, f"{tampered} calls")


def spool_largest_file(folder: Path, *, long: bool) -> Figures:
    """Files can't grow beyond a size (ulimit -f): writes are short, then fail."""
    total, refused = Checked(), 0
    sizes = range(3_000, 3_020) if long else (3_001, 3_050)
    for size in sizes:
        place = folder / f"{size}"
        place.mkdir()
        run_spooler(place, 1000, "none", str(size))
        notes = Notes(place / "notes", 1000)
        total.add(check(place / "spool", notes))
        refused += 1000 - len(notes.having((ACCEPTED,)))
    return total.figures("spool: short writes", len(sizes), f"{refused} refused")


def spool_flips(folder: Path, *, long: bool) -> Figures:
    """A bit of a file: noticed when it matters, and it costs its record."""
    rows, runs = 1_200, 300 if long else 60
    notes = Notes(folder / "notes", rows)
    spool = Spool(folder / "whole", bytes(16), limit_bytes=LIMIT // 2)
    for number in range(1, rows + 1):
        append(spool, notes, number)
    spool.close()
    chance, total, effective = random.Random(7), Checked(), 0
    for _ in range(runs):
        shutil.copytree(folder / "whole", folder / "copy")
        flip(folder / "copy", chance)
        found = check(folder / "copy", notes)
        effective += found.lost > 0
        found.lost = max(0, found.lost - 1) + (found.lost != found.noticed)
        total.add(found)
        shutil.rmtree(folder / "copy")
    return total.figures("spool: bit flips", runs, f"{effective} effective")


def flip(folder: Path, chance: random.Random) -> None:
    """Change one bit of one file, of its head now and then."""
    path = chance.choice(sorted(folder.glob("*.spool")))
    content = bytearray(path.read_bytes())
    end = HEAD_BYTES if chance.random() < 0.1 else len(content)
    content[chance.randrange(end)] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _fault(injection: Injection) -> object:
    def run(folder: Path, *, long: bool) -> Figures:
        return spool_injection(folder, injection, long=long)

    return run


FAULTS: Final = {
    "spool_disk_full": spool_disk_full,
    "spool_largest_file": spool_largest_file,
    "spool_flips": spool_flips,
    **{
        each.name.replace(": ", "_").replace(" ", "_").lower(): _fault(each)
        for each in INJECTIONS
    },
}
