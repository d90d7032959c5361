"""Rate, lag, memory and disk of a soak over time, as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from bench.soak.watch import MB, Event, Lag, Sample

_COLOURS = {"kill": "tab:red", "backup": "tab:green", "reload": "tab:gray"}


def rates(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Entries a second that the ingester took, between two looks at the same one."""
    found = []
    for before, after in pairwise(samples):
        if before.taken is None or after.taken is None or after.taken < before.taken:
            continue
        seconds = after.at - before.at
        found.append((after.at, (after.taken - before.taken) / seconds))
    return found


def plot(
    path: Path,
    samples: Sequence[Sample],
    lags: Sequence[Lag],
    events: Sequence[Event],
    limit: int,
) -> bool:
    """Whether it could be drawn: matplotlib comes with the extra `bench`."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (rate, lag, memory, disk) = pyplot.subplots(
        4, 1, sharex=True, figsize=(14, 12), layout="constrained"
    )
    times = [sample.at for sample in samples]
    rate.plot(*zip(*rates(samples) or [(0, 0)], strict=True), linewidth=0.8)
    rate.set_ylabel("entries/s")
    lag.plot([each.at for each in lags], [each.late for each in lags], linewidth=0.8)
    lag.set_yscale("log")
    lag.set_ylabel("logged to queryable, s")
    for role in sorted({role for sample in samples for role in sample.rss}):
        sizes = [sample.rss.get(role, float("nan")) / MB for sample in samples]
        memory.plot(times, sizes, label=role, linewidth=0.8)
    memory.set_ylabel("RSS, MB")
    memory.legend(ncols=4, fontsize="small")
    disk.plot(times, [sample.disk / MB for sample in samples], label="database, WAL")
    disk.plot(times, [sample.spool / MB for sample in samples], label="spools")
    disk.axhline(limit, color="tab:red", linestyle=":", label="storage.max_size_mb")
    disk.set_ylabel("disk, MB")
    disk.set_xlabel("s")
    disk.legend(fontsize="small")
    for event in events:
        colour = _COLOURS.get(event.what.split()[0], "black")
        for axes in (rate, lag, memory, disk):
            axes.axvline(event.at, color=colour, linewidth=0.5, alpha=0.6)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True
