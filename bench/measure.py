"""Wall time, CPU seconds and memory, of this process and of others, from /proc."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_TICK: Final = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Load:
    """What putting entries into a store has cost."""

    rows: int
    seconds: float
    cpu_seconds: float
    """Of the store's process, all its threads."""
    peak_rss: int
    disk: int
    """Bytes on disk once settled: checkpointed or merged."""
    settle_seconds: float = 0.0
    settle_cpu_seconds: float = 0.0
    """Merging what was loaded into its final form, after `seconds`."""
    feeder_cpu_seconds: float = 0.0
    """Of the processes that sent the rows, when there are any."""

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    @property
    def cpu_per_million(self) -> float:
        """CPU seconds a million rows."""
        return self.cpu_seconds / self.rows * 1e6

    @property
    def bytes_per_row(self) -> float:
        """Bytes on disk an entry."""
        return self.disk / self.rows


class Stopwatch:
    """Wall and CPU seconds of this process over all its `running()` stretches."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of the block."""
        wall, cpu = time.perf_counter(), own_cpu()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - wall
            self.cpu_seconds += own_cpu() - cpu


def own_cpu() -> float:
    """CPU seconds of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int) -> float:
    """CPU seconds of a process so far, its ended threads and children included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / _TICK


def memory_of(pid: int, key: str = "VmHWM") -> int:
    """Bytes of a process: VmHWM the most it ever had resident, VmRSS now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) << 10
    raise ValueError(f"no {key} of process {pid}")


def children_of(pid: int) -> list[int]:
    """Processes that this one has started, and theirs."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children_of(int(child))]
    return found


def file_bytes(*paths: Path) -> int:
    """Bytes of files and of folders with all that is in them; absent ones are 0."""
    total = 0
    for path in paths:
        inside = path.rglob("*") if path.is_dir() else [path]
        total += sum(item.stat().st_size for item in inside if item.is_file())
    return total


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median_load(loads: Sequence[Load]) -> Load:
    """The run whose rate is in the middle, so that its figures belong together."""
    return sorted(loads, key=lambda load: load.rate)[len(loads) // 2]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = platform.processor() or "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(
            os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        ),
        "python": platform.python_version(),
        "kernel": platform.release(),
    }
