"""What the kernel says of processes: memory and processor time. Linux; else nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_STATE, _USER, _SYSTEM = 0, 11, 12
"""Places in /proc/PID/stat behind the name: proc_pid_stat(5)."""

STUCK_STATES: Final = frozenset("TtZX")
"""Stopped, traced, or dead."""


class Process(NamedTuple):
    """One process at this moment."""

    rss_bytes: int
    cpu_seconds: float
    is_stuck: bool
    """Whether the kernel gives it no processor."""


def maybe_process(pid: int | None) -> Process | None:
    """None when there is none of that id, or none of ours."""
    if not pid:
        return None
    folder = Path(f"/proc/{pid}")
    try:
        # another machine's, or an id that was used again
        if b"pipeline" not in (folder / "cmdline").read_bytes():
            return None
        pages = int((folder / "statm").read_bytes().split()[1])
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError, IndexError):
        return None
    ticks = int(fields[_USER]) + int(fields[_SYSTEM])
    return Process(pages * _PAGE, ticks / _TICKS, fields[_STATE] in STUCK_STATES)


def system_memory() -> dict[str, int]:
    """Bytes of the machine: all there are, and what programs could have; or nothing."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    found = dict(line.split(":", 1) for line in lines)
    return {
        name: int(found[key].split()[0]) * 1024
        for name, key in (
            ("total_bytes", "MemTotal"),
            ("available_bytes", "MemAvailable"),
        )
        if key in found
    }
