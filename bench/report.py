"""Run every bench and write the table of README.md.

    python -m bench.report            # the full figures, about an hour on two cores
    python -m bench.report --quick    # small numbers: does everything work?

The table stands between `<!-- bench -->` and `<!-- /bench -->`, with the machine and
the command; all single figures go to build/bench.json. With --quick nothing is written
unless --write is given too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from bench import footprint, ingest, latency, query
from bench.footprint import Footprint
from bench.ingest import Options, Results
from bench.latency import RATE, SHARES, Latencies
from bench.measure import Load, machine, quantile

ROOT: Final = Path(__file__).parents[1]
BEGIN: Final = "<!-- bench -->"
END: Final = "<!-- /bench -->"

_BUSY: Final = 0.8
"""The share of the live producers' rate at which latency is measured too."""

_WAYS: Final = {
    "frames": "batches of one service each, encoded beforehand",
    "mixed": "batches of all services mixed, encoded beforehand",
    "live": "live Python producers calling `log()`",
    "sqlite-rows": "SQLite, a row an entry",
    "sqlite-fts5": "SQLite with FTS5",
    "chdb": "ClickHouse (chdb), by ArrowStream",
    "victorialogs": "VictoriaLogs, by JSON lines",
}


@dataclass(slots=True)
class Findings:
    """What all benches found."""

    loads: Results
    questions: query.Findings
    calm: Latencies
    busy: Latencies
    busy_rate: float
    memory: Footprint


def measure(options: Options, query_entries: int, seconds: float) -> Findings:
    """All benches, one after the other."""
    loads = ingest.measure(options)
    live = loads.medians()["live"].rate
    busy = _BUSY * live - RATE
    memory = footprint.measure(options, seconds)
    asked = replace(options, entries=query_entries)
    load = replace(options, live_entries=min(options.live_entries, 200_000))
    return Findings(
        loads,
        query.measure(asked),
        latency.measure(load, seconds),
        latency.measure(load, seconds, busy),
        busy + RATE,
        memory,
    )


def table(found: Findings, options: Options, query_entries: int) -> str:
    """The findings as Markdown."""
    where = machine()
    parts = [
        [_setting(where, options)],
        _ingest(found.loads.medians(), found.loads.call_us),
        _questions(found.questions.warm, query_entries),
        _latency(found),
        _memory(found.memory),
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _setting(where: Mapping[str, Any], options: Options) -> str:
    return (
        f"{where['cpu']}, {where['cores']} cores, {where['memory_gb']} GB,"
        f" Python {where['python']}, Linux {where['kernel']};"
        f" `python -m {_command()}`;"
        f" of {options.runs} runs the one with the middle rate."
    )


def _command() -> str:
    given = [word for word in sys.argv[1:] if word != "--write"]
    return " ".join(["bench.report", *given])


def _ingest(medians: Mapping[str, Load], call_us: Mapping[str, float]) -> list[str]:
    head = ("Into the store", "rows/s", "CPU s/million", "peak RSS", "bytes/entry")
    rows = [
        (
            f"{_WAYS[name]} ({load.rows:,})",
            f"{load.rate:,.0f}",
            _cpu(load),
            f"{load.peak_rss / 2**20:,.0f} MB",
            f"{load.bytes_per_row:.1f}",
        )
        for name, load in medians.items()
    ]
    calls = ", ".join(f"{call_us[name]:.1f} µs {name}" for name in call_us)
    return [
        *_grid(head, rows),
        "",
        f"One `log()` call of the caller's thread: {calls}.",
    ]


def _cpu(load: Load) -> str:
    """Of the store itself; merging afterwards is told apart."""
    settling = load.settle_cpu_seconds / load.rows * 1e6
    merged = f" + {settling:.1f} merging" if settling >= 0.1 else ""
    return f"{load.cpu_per_million:.2f}{merged}"


def _questions(times: Mapping[str, Mapping[str, float]], entries: int) -> list[str]:
    stores = list(times)
    head = (f"Milliseconds, {entries:,} entries", *stores)
    rows = [
        (question, *(_cell(times[store].get(question)) for store in stores))
        for question in times[query.OURS]
    ]
    return _grid(head, rows)


def _cell(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:.1f}"


def _latency(found: Findings) -> list[str]:
    rows = []
    for name, latencies in (
        (f"{RATE:,}/s", found.calm),
        (f"{found.busy_rate:,.0f}/s", found.busy),
    ):
        for kind in ("durable", "queryable"):
            values = getattr(latencies, kind)
            cells = [f"{quantile(values, share):.0f} ms" for share in SHARES.values()]
            rows.append((f"`log()` to {kind} at {name}", *cells))
    return _grid(("Latency", *SHARES), rows)


def _memory(memory: Footprint) -> list[str]:
    rows = [
        (
            name,
            f"{calm / 2**20:.0f} MB",
            f"{memory.flat_out.get(name, 0) / 2**20:.0f} MB",
        )
        for name, calm in memory.calm.items()
    ]
    flat_out = f"flat out ({memory.rate:,.0f}/s)"
    return _grid(("Resident memory", f"{RATE:,}/s", flat_out), rows)


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def between_markers(text: str, new: str) -> str:
    """The text with what stands between the markers replaced.

    Raises ValueError when it does not have both.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


def _keep(found: Findings) -> None:
    """Every single figure, for who wants to look closer."""
    path = ROOT / "build" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), **asdict(found)}, indent=1))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    ingest.add_options(parser)
    parser.add_argument("--query-entries", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.set_defaults(rivals=[])
    arguments = parser.parse_args()
    if arguments.quick:
        quick = {"entries": 200_000, "live_entries": 200_000, "runs": 1}
        vars(arguments).update(quick, query_entries=100_000, seconds=5)
    write = arguments.write or not arguments.quick
    seconds, entries = arguments.seconds, arguments.query_entries
    for name in ("seconds", "query_entries", "quick", "write"):
        delattr(arguments, name)
    options = ingest.options_of(arguments)
    readme = ROOT / "README.md"
    if write:
        between_markers(readme.read_text(), "")  # fails now, not an hour later
    found = measure(options, entries, seconds)
    text = table(found, options, entries)
    print(text)
    _keep(found)
    if write:
        readme.write_text(between_markers(readme.read_text(), text))


if __name__ == "__main__":
    main()
