"""Logs, backs it up and archives it, with whatever version of the pipeline is there.

    python keeping_program.py FOLDER

`backups/` has two, the second of more entries; `archive/` what was stored until then.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from logging_program import blocks, calls, ended, log, started

ROUNDS, ROUND = 6, 100


def main(folder: Path) -> None:
    ingest, publish = f"ipc://{folder}/in.sock", f"ipc://{folder}/out.sock"
    path = folder / "store.db"
    environ = {
        **os.environ,
        "PIPELINE_INGEST__ENDPOINT": ingest,
        "PIPELINE_PUBLISH__ENDPOINT": publish,
        "PIPELINE_STORAGE__DB_PATH": str(path),
        "PIPELINE_COMPACTION__KEEP_REPLACED_SECONDS": "0.1",
        "PIPELINE_METRICS__CANARY_SECONDS": "0",
    }
    ingester = started(["ingester"], environ)
    rows: list[dict] = []

    def more(rounds: int) -> None:
        from pipeline.collectors.collector import Collector

        for _ in range(rounds):
            made = calls(len(rows), ROUND)
            collector = Collector(ingest, acknowledge_endpoint=publish)
            log(collector, made)
            if not collector.flush(20):
                raise RuntimeError("not durable")
            collector.close()
            rows.extend(made)

    def told(*words: str) -> None:
        command = [sys.executable, "-m", "pipeline", *words]
        subprocess.run(command, env=environ, check=True)

    more(ROUNDS)
    before = blocks(path)
    for _ in range(60):  # blocks become one
        time.sleep(0.5)
        if blocks(path) != before:
            break
    counts = []
    for _ in range(2):
        told("backup", str(folder / "backups"))
        counts.append(len(rows))
        more(1)
        time.sleep(1.1)  # backups are named by the second, ages are whole ones
    told("archive", "--before", "1s", str(folder / "archive"))
    archived = len(rows)
    more(1)
    ended(ingester)
    about = {"backups": counts, "archived": archived, "rows": rows}
    (folder / "entries.json").write_text(json.dumps(about))


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
