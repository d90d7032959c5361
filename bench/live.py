"""One live producer: a service that calls `Collector.log()` in a loop.

    python -m bench.live --ingest E --publish E --entries N --seed S --source web

Arguments of the calls are prepared beforehand, so that what is timed is the pipeline's
share.  Entries are not logged with a timestamp of their own: the call takes the time.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from typing import Any, Final

from bench.corpus import generate
from bench.measure import own_cpu
from bench.processes import await_go, told_to_finish
from pipeline import Collector, Level

_CALM_ROUNDS: Final = 20
_CALM_CALLS: Final = 500
_FLUSH_S: Final = 120
_PACE_S: Final = 0.005

Call = tuple[str, str, dict[str, Any] | None, list[str] | None, str | None]


def calls(entries: int, seed: int, source: str) -> list[Call]:
    """Arguments of log() for the corpus's entries, no two alike."""
    names = {int(level): level.name for level in Level}
    return [
        (names[level], message, metadata, tags, trace_id)
        for _, _, level, message, metadata, tags, trace_id in generate(
            entries, seed, source
        )
    ]


def calm(collector: Collector, prepared: list[Call]) -> list[float]:
    """Seconds of the caller's thread a call, when the service has other work too."""
    found = []
    for turn in range(_CALM_ROUNDS):
        rows = prepared[turn * _CALM_CALLS : (turn + 1) * _CALM_CALLS]
        if not rows:
            break
        before = time.thread_time()
        for row in rows:
            collector.log(*row)
        found.append((time.thread_time() - before) / len(rows))
        collector.flush()
    return found


def flat_out(collector: Collector, prepared: list[Call]) -> dict[str, float]:
    """Log all as fast as it goes, then wait until all is durable."""
    cpu, thread, wall = own_cpu(), time.thread_time(), time.perf_counter()
    log = collector.log
    for row in prepared:
        log(*row)
    called = time.perf_counter() - wall
    thread = time.thread_time() - thread
    if not collector.flush(_FLUSH_S):
        raise RuntimeError(f"not durable: {collector.stats()}")
    ended = time.perf_counter()
    return {
        "rows": len(prepared),
        "ended": ended,
        "seconds": ended - wall,
        "call_seconds": called,
        "thread_seconds": thread,
        "cpu_seconds": own_cpu() - cpu,
    }


def paced(collector: Collector, prepared: list[Call], rate: float) -> dict[str, float]:
    """Log at this rate, prepared calls over and over, until told that it is enough."""
    cpu, start, sent = own_cpu(), time.perf_counter(), 0
    while not told_to_finish():
        due = int((time.perf_counter() - start) * rate)
        for number in range(sent, due):
            collector.log(*prepared[number % len(prepared)])
        sent = max(sent, due)
        time.sleep(_PACE_S)
    seconds = time.perf_counter() - start
    return {"rows": sent, "seconds": seconds, "cpu_seconds": own_cpu() - cpu}


def main() -> None:
    """Prepare, wait for go, log, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True)
    parser.add_argument("--publish", required=True)
    parser.add_argument("--entries", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--source", default="")
    parser.add_argument("--rate", type=float, default=0, help="entries/s; 0: flat out")
    arguments = parser.parse_args()
    gc.disable()
    prepared = calls(arguments.entries, arguments.seed, arguments.source)
    warm = calls(_CALM_ROUNDS * _CALM_CALLS, arguments.seed + 100, arguments.source)
    gc.freeze()  # what is prepared here is no garbage of the service's
    gc.enable()
    with Collector(
        arguments.ingest,
        arguments.source or "bench",
        acknowledge_endpoint=arguments.publish,
        policy="block",
    ) as collector:
        calm_call = sorted(calm(collector, warm))
        await_go()
        if arguments.rate:
            report = paced(collector, prepared, arguments.rate)
        else:
            report = flat_out(collector, prepared)
        report["warm_rows"] = len(warm)
        report["calm_call_seconds"] = calm_call[len(calm_call) // 2]
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
