"""How long an entry takes from `log()` until it is durable, and until a query finds it.

    python -m bench.latency --seconds 60

The whole pipeline runs.  One service logs 1,000 entries/s through a Collector as it is
by default; each entry's time to durable is taken, and each tenth is looked for with
`query` over JSON-RPC by another process, one question for the newest ones after the
other.  Then the same while other producers keep the pipeline busy.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.ingest import Options, live_feeders, started
from bench.live import calls
from bench.measure import quantile
from bench.processes import (
    Feeder,
    Gateway,
    Place,
    await_go,
    place,
    running,
    told_to_finish,
)
from pipeline import Collector

RATE: Final = 1_000
SHARES: Final = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}

_PROBE: Final = "bench-probe"
_EACH: Final = 10
_SETTLE_S: Final = 10.0
_POLL_S: Final = 0.002
_LAST_S: Final = 3.0
"""The poller goes on this long after the last entry is durable."""

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds from the call, in no order."""

    durable: list[float]
    queryable: list[float]


def probe(where: Place, seconds: float) -> Latencies:
    """Log at RATE for some seconds and follow what becomes of each entry."""
    prepared = calls(10 * RATE, 7, "orders")
    with (
        started([["bench.latency", "--poll", str(where.port)]]) as (poller,),
        Collector(
            where.ingest, "orders", acknowledge_endpoint=where.publish
        ) as collector,
    ):
        poller.go()
        sent, durable = _log(collector, prepared, seconds)
        return Latencies(
            [(end - start) * 1e3 for start, end in zip(sent, durable, strict=False)],
            _found(poller, sent[::_EACH]),
        )


def _log(
    collector: Collector, prepared: Sequence[tuple[object, ...]], seconds: float
) -> tuple[list[float], list[float]]:
    """When each entry was logged and when it was durable."""
    sent: list[float] = []
    durable: list[float] = []
    start = time.perf_counter()
    wanted = int(seconds * RATE)
    while len(durable) < wanted:
        now = time.perf_counter()
        if now > start + seconds + _SETTLE_S:
            raise RuntimeError(f"not durable: {collector.stats()}")
        for number in range(len(sent), min(wanted, int((now - start) * RATE))):
            row = prepared[number % len(prepared)]
            sent.append(time.perf_counter())
            if number % _EACH:
                collector.log(*row)  # type: ignore[arg-type]
            else:
                collector.log("INFO", f"probe {number // _EACH}", source=_PROBE)
        settled = int(collector.stats()["settled"])
        durable += [time.perf_counter()] * (settled - len(durable))
        time.sleep(0.0005)
    return sent, durable


def _found(poller: Feeder, sent: Sequence[float]) -> list[float]:
    time.sleep(_LAST_S)
    poller.finish()
    found = poller.report()
    if len(found) < len(sent):
        raise RuntimeError(f"{len(sent) - len(found)} probes were never found")
    return [(found[str(number)] - start) * 1e3 for number, start in enumerate(sent)]


def poll(port: int) -> None:
    """Ask for the newest probes again and again; report when each was first seen."""
    gateway = Gateway(port)
    gateway.ask("query", {"limit": 1, "count": "none"})
    seen: dict[str, float] = {}
    # before the go: the first probe comes at once
    asked = {"sources": [_PROBE], "since": time.time_ns(), "limit": _PAGE}
    asked |= {"fields": ["timestamp", "message"], "count": "none"}
    await_go()
    while not told_to_finish():
        logs = gateway.ask("query", asked)["logs"]
        now = time.perf_counter()
        for log in logs:
            seen.setdefault(log["message"].removeprefix("probe "), now)
        if logs:  # newest first; probes come in order, so older ones are all here
            asked["since"] = logs[0]["timestamp"]
        time.sleep(_POLL_S)
    print(json.dumps(seen), flush=True)


def measure(options: Options, seconds: float, rate: float = 0.0) -> Latencies:
    """Latencies while other producers log `rate` entries/s."""
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder))
        where = place(Path(name))
        stack.enter_context(running("up", where))
        commands = live_feeders(where, options, rate) if rate else []
        feeders = stack.enter_context(started(commands))
        for feeder in feeders:
            feeder.go()
        latencies = probe(where, seconds)
        for feeder in feeders:
            feeder.finish()
        if feeders:
            reached = sum(f["rows"] / f["seconds"] for f in map(Feeder.report, feeders))
            print(f"other producers: {reached:,.0f} entries/s of {rate:,.0f} wanted")
        return latencies


def line(name: str, milliseconds: Sequence[float]) -> str:
    """Quantiles in one line."""
    cells = [f"{key} {quantile(milliseconds, q):8.1f}" for key, q in SHARES.items()]
    return f"{name:44} {'  '.join(cells)} ms of {len(milliseconds):,}"


def show(name: str, latencies: Latencies) -> None:
    """Print both kinds."""
    print(line(f"{name}, log() to durable", latencies.durable))
    print(line(f"{name}, log() to queryable", latencies.queryable))


def main() -> None:
    """Measure calm and loaded, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--rate", type=float, default=0, help="of other producers in the second part"
    )
    parser.add_argument("--producers", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--poll", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.poll:
        poll(arguments.poll)
        return
    options = Options(
        live_entries=100_000, producers=arguments.producers, folder=arguments.folder
    )
    show("1,000/s", measure(options, arguments.seconds))
    if arguments.rate:
        loaded = measure(options, arguments.seconds, arguments.rate)
        show(f"with {arguments.rate:,.0f}/s beside", loaded)


if __name__ == "__main__":
    main()
