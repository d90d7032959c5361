"""A soak: everything at once, then the account.

    python -m bench.soak [--seconds 1800] [--rate 20000] [--limit 200] [--plot soak.png]

`pipeline up` runs with four services that log, questions, tails, compaction, retention
at a size, backups and reloads, while one process after the other is killed with
SIGKILL. In the end what was produced is what is stored, what retention deleted, and
what was refused with a reason; 1 when it is not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from bench.soak.plot import plot, rates
from bench.soak.soak import Outcome, Plan, soak
from bench.soak.watch import MB, growth, outside, p99


def main() -> int:
    """Run it, print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--rate", type=float, default=20_000, help="entries/s, of all")
    parser.add_argument("--limit", type=int, default=200, help="storage.max_size_mb")
    parser.add_argument("--kill-every", type=float, default=120)
    parser.add_argument("--backup-every", type=float, default=300)
    parser.add_argument("--reload-every", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1, help="of who is killed")
    parser.add_argument("--plot", type=Path, help="PNG to be made")
    parser.add_argument("--folder", type=Path, help="new; kept afterwards")
    options = parser.parse_args()
    plan = Plan(
        *(options.seconds, options.rate, options.limit, options.kill_every),
        *(options.backup_every, options.reload_every, options.seed),
    )
    with ExitStack() as stack:
        folder = options.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-"))
        )
        folder.mkdir(parents=True, exist_ok=True)
        found = soak(folder, plan)
    tell(found, plan)
    if options.plot is not None:
        drawn = plot(
            options.plot, found.samples, found.lags, found.events, options.limit
        )
        print(f"plot: {options.plot}" if drawn else "no plot: matplotlib is missing")
    return 0 if found.account.balances and found.flushed else 1


def tell(found: Outcome, plan: Plan) -> None:
    """Print it."""
    print(found.account.text())
    if not found.flushed:
        print("NOT FLUSHED: a producer still held entries at the end")
    taken = sorted(rate for _, rate in rates(found.samples))
    middle = taken[len(taken) // 2] if taken else 0.0
    print(f"rate: {middle:,.0f} entries/s in the middle; wanted {plan.rate:,.0f}")
    lags = outside(found.lags, found.events)
    print(
        f"lag outside restarts: p99 {p99(lags):.2f} s of {len(lags):,} probes;"
        f" with them {p99([lag.late for lag in found.lags]):.2f} s"
    )
    most = max((sample.disk for sample in found.samples), default=0) / MB
    print(
        f"disk: at most {most:.1f} MB of {plan.limit_mb} ({most / plan.limit_mb:.3f})"
    )
    for role in sorted({role for sample in found.samples for role in sample.rss}):
        first, last = growth(found.samples, role)
        peak = max(sample.rss.get(role, 0) for sample in found.samples) / MB
        print(f"RSS {role}: {first:.1f} -> {last:.1f} MB, at most {peak:.1f}")
    for what, count in sorted(Counter(event.what for event in found.events).items()):
        print(f"{count} x {what}")
    for why, count in found.dropped.items():
        print(f"{count:,} dropped by their collectors: {why}")
    print(f"spooled {found.spooled:,} entries, {found.resent:,} batches sent again")
    print(
        f"{found.answers:,} answers, the slowest after {found.slowest:.2f} s;"
        f" tailed {found.tailed}"
    )
    for error, count in found.errors.most_common():
        print(f"{count} x not answered: {error}")


if __name__ == "__main__":
    sys.exit(main())
