"""Compaction when its worker or the ingester is killed, or the disk is full.

Services log all the while. Replaced blocks are purged after half a second, so that
what is lost could not come back from an old one.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Set
from contextlib import suppress
from pathlib import Path

from pipeline.control import Client, ControlError, endpoint_of
from tests.capabilities import need
from tests.faults.disk import MEGABYTES, fill
from tests.faults.disk import RATE as RATE_OF_DISK
from tests.faults.processes import Ingester, finish, wait_for
from tests.faults.report import Figures
from tests.faults.site import Site, Size
from tests.faults.volume import tmpfs

RATE = 20_000
"""Entries a second of all producers: commits are small, and much is merged."""

STATUS_SECONDS = 10.0
COMPACT_SECONDS = 600.0
"""The worker is niced: on a busy machine it hardly gets a core."""

SETTINGS = {
    "COMPACTION__KEEP_REPLACED_SECONDS": "0.5",
    "INGEST__COMMIT_INTERVAL_MS": "5",
}


def client_of(ingester: Ingester) -> Client:
    """Of its control socket."""
    return Client(endpoint_of("", str(ingester.database)))


def worker_of(ingester: Ingester) -> int | None:
    """Process id of its worker; None while there is none."""
    try:
        found = client_of(ingester).status(STATUS_SECONDS)["compaction"]["worker_pid"]
    except ControlError:
        return None
    return int(found) if found else None


def _site(folder: Path) -> Site:
    rate = ("--rate", str(RATE // 2), "--spool", "overflow")
    return Site(Ingester(folder, **SETTINGS), *rate)


def worker_kills(folder: Path, *, long: bool) -> Figures:
    """The worker dies at any point of its work; the ingester starts another."""
    size = Size(40, 800_000) if long else Size(4, 60_000)
    site = _site(folder)
    killed: set[int] = set()

    def fresh() -> int | None:
        # the ingester may not have noticed yet that the one before is gone
        pid = worker_of(site.ingester)
        return None if pid in killed else pid

    def strike(_: int) -> None:
        pid = wait_for("a worker of its own", fresh)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        killed.add(pid)

    return _compacted("compaction worker kill -9", site, size, strike, killed)


def ingester_kills_in_swaps(folder: Path, *, long: bool) -> Figures:
    """The ingester dies while blocks take others' place; its worker ends with it."""
    size = Size(40, 800_000) if long else Size(3, 45_000)
    site = _site(folder)
    killed: set[int] = set()

    def strike(number: int) -> None:
        pid = wait_for("a worker", lambda: worker_of(site.ingester))
        _await_swaps(site.ingester, random.Random(number).randrange(4))
        site.kill_ingester()
        wait_for("the worker ends too", lambda: not Path(f"/proc/{pid}").exists())
        killed.add(pid)

    return _compacted("ingester kill -9 in swaps", site, size, strike, killed)


def full_disk_in_swaps(folder: Path, *, long: bool) -> Figures:
    """No block can take others' place; those stay, until there is space again."""
    need("root", "tmpfs")
    rounds = 10 if long else 1
    with tmpfs(folder / "disk", MEGABYTES) as disk:
        ingester = Ingester(folder, STORAGE__DB_PATH=str(disk / "logs.db"), **SETTINGS)
        site = Site(ingester, *RATE_OF_DISK)
        with site.running():
            site.wait_for_entries(1)
            for _ in range(rounds):
                _refuse_swaps(site, disk / "ballast")
            finish(site.producers)
            client_of(ingester).compact(seconds=COMPACT_SECONDS)
            state = client_of(ingester).status()["compaction"]
            assert ingester.stop() == 0, ingester.text
        verdict = site.verdict()
    assert state["swap_failures"] >= rounds
    note = f"{state['swaps']} swaps, {state['swap_failures']} refused"
    return verdict.figures("full disk in swaps", rounds, note=note)


def _refuse_swaps(site: Site, ballast: Path) -> None:
    """Have blocks merged that can't be written; then space returns."""
    client, before = client_of(site.ingester), site.progress

    def failures() -> int:
        state = client.status(STATUS_SECONDS)["compaction"]
        return int(state.get("swap_failures", 0))

    def is_refused() -> bool:
        fill(ballast)
        with suppress(ControlError):
            client.compact(seconds=20)
        return failures() > known

    known = failures()
    wait_for("a refused swap", is_refused)
    ballast.unlink()
    wait_for("acknowledgement", lambda: site.progress > before)


def _await_swaps(ingester: Ingester, count: int) -> None:
    """Until so many blocks were swapped in by this ingester."""

    def swaps() -> bool:
        found = client_of(ingester).status()["compaction"].get("swaps", 0)
        return bool(found >= count)

    wait_for("swaps", swaps)


def _compacted(
    name: str,
    site: Site,
    size: Size,
    strike: Callable[[int], None],
    killed: Set[int],
) -> Figures:
    with site.running():
        site.spread(size, strike)
        finish(site.producers)
        assert len(killed) == size.blows, "each blow must find a worker of its own"
        client = client_of(site.ingester)
        client.compact(seconds=COMPACT_SECONDS)
        wait_for("replaced blocks are purged", lambda: _is_purged(client))
        state = client.status()["compaction"]
        assert site.ingester.stop() == 0
    note = f"{state.get('backlog_blocks')} fresh blocks left"
    return site.verdict().figures(name, size.blows, note=note)


def _is_purged(client: Client) -> bool:
    """Once nothing is left to do, blocks and swaps stay as they are."""
    state = client.status()["compaction"]
    return state.get("blocks_purged", 0) > 0


FAULTS = {
    "compaction-kills": worker_kills,
    "compaction-ingester-kills": ingester_kills_in_swaps,
    "compaction-full-disk": full_disk_in_swaps,
}
