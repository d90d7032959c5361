"""Logs into a fresh store and a spool, with whatever version of the pipeline is there.

    python logging_program.py FOLDER

Uses no more than every version has had: Collector.log, `pipeline ingester`, `collect`.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

START = 1_763_978_400_000_000_000
LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")
ROUNDS, ROUND, SPOOLED, LINES = 6, 150, 120, 40


def calls(first: int, count: int) -> list[dict]:
    """Entries of all kinds of values."""
    return [
        {
            "timestamp": START + number * 1_000_003,
            "source": ("web", "db")[number % 2],
            "level": LEVELS[number % 4],
            "message": f"request {number} of user {number % 7} took {number % 90} ms"
            + (" – naïve 日本" if number % 50 == 0 else ""),
            "metadata": {
                "number": number,
                "share": number / 8,
                "path": f"/orders/{number % 12}",
                "ok": number % 3 == 0,
                **({"list": [number, "x", None]} if number % 5 == 0 else {}),
                **({"map": {"deep": {"n": number}}} if number % 11 == 0 else {}),
            },
            "tags": ["a", "b"][: number % 3],
            "trace_id": f"{number:032x}" if number % 4 == 0 else None,
        }
        for number in range(first, first + count)
    ]


def log(collector, rows: list[dict]) -> None:
    for row in rows:
        collector.log(
            row["level"],
            row["message"],
            row["metadata"],
            row["tags"],
            row["trace_id"],
            row["timestamp"],
            row["source"],
        )


def started(words: list[str], environ: dict) -> subprocess.Popen:
    """A process of the pipeline that says that it is ready."""
    command = [sys.executable, "-m", "pipeline", *words]
    child = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    while "ready" not in (line := child.stderr.readline()):
        if not line:
            raise RuntimeError(f"{words} does not start")
    return child


def blocks(path: Path) -> list[tuple]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT count(*) FROM blocks").fetchall()
    finally:
        connection.close()


def ended(child: subprocess.Popen) -> None:
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=30)


def main(folder: Path) -> None:
    from pipeline.collectors.collector import Collector

    ingest, publish = f"ipc://{folder}/in.sock", f"ipc://{folder}/out.sock"
    path = folder / "store.db"
    environ = {
        **os.environ,
        "PIPELINE_INGEST__ENDPOINT": ingest,
        "PIPELINE_PUBLISH__ENDPOINT": publish,
        "PIPELINE_STORAGE__DB_PATH": str(path),
    }
    ingester = started(["ingester"], environ)
    logged: dict[str, list] = {"stored": [], "lines": [], "spooled": []}
    for number in range(ROUNDS):
        collector = Collector(ingest, acknowledge_endpoint=publish)
        rows = calls(number * ROUND, ROUND)
        log(collector, rows)
        if not collector.flush(20):
            raise RuntimeError("not durable")
        collector.close()
        logged["stored"] += rows
    logged["lines"] = lines(folder, environ)
    before = blocks(path)
    for _ in range(40):  # blocks become one, if this version does that
        time.sleep(0.5)
        if blocks(path) != before:
            break
    ended(ingester)
    logged["spooled"] = spooled(folder, f"ipc://{folder}/away.sock")
    (folder / "entries.json").write_text(json.dumps(logged))


def lines(folder: Path, environ: dict) -> list[str]:
    """A file that is followed, once files are."""
    file = folder / "followed.log"
    written = [f"line {number} of a file" for number in range(LINES)]
    file.write_text("".join(f"{line}\n" for line in written))
    try:
        child = started(["collect", "--source", "files", str(file)], environ)
    except RuntimeError:
        return []
    time.sleep(5)
    ended(child)
    return written


def spooled(folder: Path, endpoint: str) -> list[dict]:
    """What a collector leaves on disk when nobody is there, once it does."""
    from pipeline.collectors.collector import Collector

    try:
        collector = Collector(
            endpoint,
            acknowledge_endpoint=endpoint + "2",
            spool="always",
            spool_dir=folder / "spool",
        )
    except TypeError:
        return []
    rows = calls(100_000, SPOOLED)
    log(collector, rows)
    collector.close(0.2)
    return rows


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
