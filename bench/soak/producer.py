"""One service of a soak: logs at a rate until told that it is enough, then flushes.

python -m bench.soak.producer --ingest E --publish E --source web --rate 5000
"""

from __future__ import annotations

import argparse
import json
from typing import Final

from bench.live import calls, paced
from bench.processes import await_go
from pipeline import Collector

ENTRIES: Final = 20_000
"""Different ones, over and over: the soak is about what happens to them."""

FLUSH_SECONDS: Final = 120.0


def main() -> None:
    """Prepare, wait for go, log, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ingest", required=True)
    parser.add_argument("--publish", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--spool", required=True)
    arguments = parser.parse_args()
    prepared = calls(ENTRIES, arguments.seed, arguments.source)
    collector = Collector(
        arguments.ingest,
        arguments.source,
        acknowledge_endpoint=arguments.publish,
        spool_dir=arguments.spool,
    )
    await_go()
    rows = paced(collector, prepared, arguments.rate)["rows"]
    collector.flush(FLUSH_SECONDS)
    collector.close(FLUSH_SECONDS)
    stats = collector.stats()
    report = {
        "rows": rows,
        "flushed": not stats["waiting"] and not stats["spooled"],
        "dropped": {why: sum(of.values()) for why, of in stats["dropped"].items()},
        "spooled": stats["spooled"],
        "resent": stats["resent_batches"],
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
