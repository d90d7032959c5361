"""What the pipeline takes from those who mean it harm, and whether it stands.

    python -m bench.hostile_requests --requests 100000 --connections 2000

`pipeline up` with tokens, in 1,024 descriptors a process. Calls made from the OpenRPC
document and broken, frames of WebSockets, requests without a token, bytes that are
nearly HTTP or ZMTP, messages that are nearly batches; then connections without a word.
Meanwhile a producer logs, and a client asks. A first third warms up, until caches are
full and all has happened once; then memory and descriptors are taken, and at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from bench.measure import memory_of
from bench.processes import Place, place, running
from bench.siege import MESSAGES, PATIENCE_S, Found, Plan, Siege
from bench.soak.watch import processes_of
from pipeline import Collector, service
from pipeline.control import Client, endpoint_of
from pipeline.gateway import tokens
from pipeline.gateway.principal import ADMIN, READ

DESCRIPTORS: Final = 1024
"""As most systems give a process."""

ASK_S: Final = 0.25

LOG_S: Final = 0.01

LOGGED: Final = 5

REST_S: Final = 3.0

SHORT_REST_S: Final = 0.3

LOOKS: Final = 75
"""For the last messages to be counted, five a second."""

WARM: Final = 1 / 3
PARTS: Final = 8
GROWTH: Final = 1.1

SPARE: Final = 16
"""Descriptors that a process may have more: the analyzer's sender opens 11 at its first
alert, a query has files, a thread a pipe."""

SETTINGS: Final = {
    "PIPELINE_AUTHENTICATION__ENABLED": "true",
    "PIPELINE_AUTHENTICATION__FAILURES_PER_MINUTE": "5",
    "PIPELINE_GATEWAY__HEAD_SECONDS": "1",
    "PIPELINE_GATEWAY__BODY_SECONDS": "1",
    "PIPELINE_QUERY__TIMEOUT_SECONDS": "5",
}


class Producer(threading.Thread):
    """Logs all the while, as it should."""

    def __init__(self, where: Place, key_file: str) -> None:
        super().__init__(name="producer", daemon=True)
        self._collector = Collector(
            where.ingest,
            "good",
            acknowledge_endpoint=where.publish,
            spool="off",
            key_file=key_file,
        )
        self.end = threading.Event()
        self.logged = 0
        self.is_flushed = False

    def run(self) -> None:
        """Until the end is set."""
        while not self.end.wait(LOG_S):
            for _ in range(LOGGED):
                self._collector.log("INFO", "all is well", {"number": self.logged})
                self.logged += 1
        self.is_flushed = self._collector.flush(PATIENCE_S)
        self._collector.close()


def siege(folder: Path, plan: Plan) -> Found:
    """All of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, DESCRIPTORS), hard))
    where = place(folder)
    made = [tokens.new(role, role, 0, 0) for role in (ADMIN, READ)]
    tokens.write(tokens.path_of("", str(where.database)), [token for token, _ in made])
    curve = {"PIPELINE_CURVE__ENABLED": str(plan.has_keys).lower()}
    with running("up", where, SETTINGS | curve) as up:
        service.allow_descriptors(plan.connections + DESCRIPTORS)
        return asyncio.run(_siege(where, plan, made[0][1], up.pid))


async def _siege(where: Place, plan: Plan, secret: str, supervisor: int) -> Found:
    began = time.monotonic()
    rest = SHORT_REST_S if plan.is_short else REST_S
    parts = 1 if plan.is_short else PARTS
    one = Siege(where, plan, secret)
    found = one.found
    producer = Producer(where, f"{where.database}.curve" if plan.has_keys else "")
    producer.start()
    found.cold = _look(supervisor)
    async with _asking(one):
        await one.strike(WARM)
        if not plan.is_short:
            await one.hold()
        await asyncio.sleep(rest)
        found.before, pids = _look(supervisor), set(processes_of(supervisor))
        for _ in range(parts):
            await one.strike((1 - WARM) / parts)
            found.course.append(_look(supervisor))
    await one.hold()
    await asyncio.sleep(rest)
    producer.end.set()
    await asyncio.to_thread(producer.join)
    found.after = _look(supervisor)
    await _account(one, where, producer)
    lost = pids - set(processes_of(supervisor))
    if lost:
        found.problems[f"{len(lost)} processes have died"] += 1
    if not plan.is_short:  # it takes thousands until all caches are full
        found.problems.update(compare(found))
    said = (where.folder / "up.log").read_text(errors="replace")
    if "Traceback" in said:
        at = said.index("Traceback")
        found.problems[f"the log has a traceback: {said[at : at + 2000]}"] += 1
    found.seconds = time.monotonic() - began
    return found


@asynccontextmanager
async def _asking(one: Siege) -> AsyncIterator[None]:
    """A good client meanwhile."""

    async def ask() -> None:
        while True:
            began = time.perf_counter()
            await one.ask("get_stats", q="source:good", timerange="1m")
            one.found.asked.append(time.perf_counter() - began)
            await asyncio.sleep(ASK_S)

    task = asyncio.create_task(ask())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _account(one: Siege, where: Place, producer: Producer) -> None:
    """What came of the good entries, and of the messages that were none."""
    found = one.found
    found.logged = producer.logged
    told = await one.ask("get_stats", sources=["good"], timerange="1d")
    found.stored = told["total_logs"]
    if not producer.is_flushed or found.logged != found.stored:
        found.problems["good entries are missing"] += 1
    health = await one.ask("health")
    found.counters = {
        name: count
        for name, count in health["requests"].items()
        if name.startswith(
            ("bad", "refused", "rate", "authent", "conn", "slow", "internal")
        )
    }
    sent, letters = found.sent[MESSAGES], _letters(where)
    for _ in range(LOOKS):
        if letters >= sent:
            break
        await asyncio.sleep(0.2)
        letters = _letters(where)
    found.counters["dead letters"] = letters
    if letters < sent:
        found.problems["messages are in no counter"] += 1
    if letters and one.plan.has_keys:
        found.problems["messages without a key came in"] += letters
    workers = health["workers"]["counters"]
    found.counters["workers killed"] = workers["killed"]  # beyond their time, as told
    if workers["restarts"] > workers["killed"]:
        found.problems["query workers were lost"] += 1


def _letters(where: Place) -> int:
    """Messages that held no batch, as the ingester has counted them."""
    status = Client(endpoint_of("", str(where.database))).status(5.0)
    counts: dict[str, int] = status["counters"]
    return sum(n for name, n in counts.items() if name.startswith("dead_letter."))


def _look(supervisor: int) -> dict[str, tuple[int, int]]:
    looks: dict[str, tuple[int, int]] = {}
    for pid, role in processes_of(supervisor).items():
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        looks[f"{role} {pid}"] = memory_of(pid, "VmRSS"), descriptors
    return looks


def compare(found: Found) -> list[str]:
    """Which processes have grown, or keep what they should have closed.

    Memory is that of a role's processes together: which of the query workers gets the
    dearest questions is chance.
    """
    told = []
    before, after = _by_role(found.before), _by_role(found.after)
    for role, rss in after.items():
        old = before.get(role, rss)
        if rss > old * GROWTH:
            told.append(f"{role} has grown by {rss / old - 1:.0%}")
    for name, (_, descriptors) in found.after.items():
        _, were = found.before.get(name, (0, descriptors))
        if descriptors > were + SPARE:
            told.append(f"{name} keeps {descriptors - were} descriptors")
    return told


def _by_role(look: dict[str, tuple[int, int]]) -> dict[str, float]:
    """RSS of a process of each role."""
    sizes: dict[str, list[int]] = {}
    for name, (rss, _) in look.items():
        sizes.setdefault(name.partition(" ")[0], []).append(rss)
    return {role: sum(each) / len(each) for role, each in sizes.items()}


def main() -> None:
    """Run it and tell; ends with 1 when something is wrong."""
    usual = Plan()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=usual.requests)
    parser.add_argument("--connections", type=int, default=usual.connections)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--keys", action="store_true", help="of the ZeroMQ sockets")
    chosen = parser.parse_args()
    plan = Plan(chosen.requests, chosen.connections, chosen.seed, chosen.keys)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        found = siege(Path(name), plan)
    print(found.text())
    raise SystemExit(bool(found.problems))


if __name__ == "__main__":
    main()
