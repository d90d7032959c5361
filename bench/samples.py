"""Whether what goes in comes out: every file of a folder, by each way in.

    python -m bench.samples FOLDER

Each `*.log` file is piped through `pipeline send`, pushed as plain msgpack by nothing
but pyzmq and msgpack, and logged through PipelineHandler; then `query` gives it back
page by page, and every line is compared to the character.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgpack
import zmq

from bench.processes import Gateway, Place, place, running
from pipeline.collectors.handler import PipelineHandler

_PAGE: Final = 10_000
_ARRAY: Final = 500
_WAIT_S: Final = 30

Entries = list[dict[str, Any]]


def by_pipe(where: Place, path: Path, source: str) -> None:
    """`pipeline send --source SOURCE < FILE`."""
    with path.open("rb") as file:
        subprocess.run(
            [sys.executable, "-m", "pipeline", "send", "--quiet", "--source", source],
            env=where.environ,
            stdin=file,
            check=True,
        )


def by_plain(where: Place, path: Path, source: str) -> None:
    """Arrays of maps on a PUSH socket, as any language would."""
    context = zmq.Context()
    socket = context.socket(zmq.PUSH)
    socket.connect(where.ingest)
    lines = lines_of(path)
    for at in range(0, len(lines), _ARRAY):
        maps = [{"source": source, "message": line} for line in lines[at : at + _ARRAY]]
        socket.send(msgpack.packb(maps))
    socket.close()
    context.term()


def by_handler(where: Place, path: Path, source: str) -> None:
    """logging.Logger.info() through PipelineHandler."""
    handler = PipelineHandler(
        where.ingest, source=source, acknowledge_endpoint=where.publish
    )
    logger = logging.Logger(source)
    logger.addHandler(handler)
    for line in lines_of(path):
        logger.info("%s", line)
    handler.close()


WAYS: Final[dict[str, Callable[[Place, Path, str], None]]] = {
    "send": by_pipe,
    "plain": by_plain,
    "handler": by_handler,
}


def lines_of(path: Path) -> list[str]:
    """The file's lines without their ends."""
    return path.read_bytes().decode().splitlines()


def stored(gateway: Gateway, source: str, expected: int) -> Entries:
    """Everything of a source, once it is all there."""
    end = time.monotonic() + _WAIT_S
    while _count(gateway, source) < expected and time.monotonic() < end:
        time.sleep(0.02)
    found: Entries = []
    cursor = None
    while True:
        asked = {"sources": [source], "limit": _PAGE, "cursor": cursor, "order": "asc"}
        page = gateway.ask("query", {k: v for k, v in asked.items() if v is not None})
        found += page["logs"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def _count(gateway: Gateway, source: str) -> int:
    return int(gateway.ask("query", {"sources": [source], "limit": 1})["count"])


def compare(path: Path, way: str, found: Entries) -> bool:
    """Print what came out of one file; whether it is all that went in."""
    expected = lines_of(path)
    got = [entry["message"] for entry in found]
    same = Counter(expected) == Counter(got)
    levels = Counter(entry["level"] for entry in found)
    first, last = (found[0]["timestamp"], found[-1]["timestamp"]) if found else ("", "")
    print(
        f"{path.name:16}{way:9}{len(expected):6} in {len(got):6} out"
        f"  {'same' if same else 'DIFFERENT'}  {first[:19]} to {last[:19]}"
        f"  {dict(levels.most_common())}"
    )
    return same


def main() -> int:
    """Run all files by all ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    paths = sorted(parser.parse_args().folder.glob("*.log"))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        where = place(Path(name))
        with running("ingester", where), running("gateway", where):
            gateway = Gateway(where.port)
            good = True
            for path in paths:
                for way, push in WAYS.items():
                    source = f"{path.stem}-{way}"
                    push(where, path, source)
                    found = stored(gateway, source, len(lines_of(path)))
                    good &= compare(path, way, found)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
