"""Pre-encoded batches: made once, then pushed by a real acknowledged producer.

    python -m bench.frames make --file F --entries N
    python -m bench.frames push --file F --ingest E --publish E --part I --parts K

What is made is what collectors send: batches of 2,000 entries of one service, each
column compressed (--plain: not); with --mixed, of all services.  Pushing numbers them,
holds them in the pipeline's own `Window` until they are durable, and follows its
acknowledgements.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import struct
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from bench.corpus import batches, mixed_batches
from bench.measure import own_cpu
from bench.processes import await_go
from pipeline import transport
from pipeline.batch.encode import encode_rows
from pipeline.compression import compress
from pipeline.delivery.window import Window
from pipeline.entry import Entry
from pipeline.wire.frame import (
    ACKNOWLEDGE_TOPIC,
    PRODUCER_BYTES,
    Codec,
    Reply,
    parse_acknowledgement,
)

_HEAD: Final = struct.Struct("<BII")
"""Of a batch in the file: codec, rows, bytes of the payload."""

_HELLO_S: Final = 10


def make(
    path: Path,
    entries: int,
    seed: int = 1,
    *,
    mixed: bool = False,
    plain: bool = False,
) -> None:
    """Write the corpus as encoded batches."""
    source = mixed_batches if mixed else batches
    write(path, source(entries, seed), plain=plain)


def write(path: Path, source: Iterable[list[Entry]], *, plain: bool = False) -> None:
    """Write these batches encoded."""
    zstd = None if plain else compress
    with path.open("wb") as file:
        for rows in source:
            payload = encode_rows(rows, compress=zstd)
            file.write(_HEAD.pack(Codec(0), len(rows), len(payload)) + payload)


def read(path: Path, part: int = 0, parts: int = 1) -> Iterator[tuple[int, int, bytes]]:
    """Codec, rows and payload of every batch, or of each `parts`-th one."""
    with path.open("rb") as file:
        place = 0
        while head := file.read(_HEAD.size):
            codec, rows, size = _HEAD.unpack(head)
            if place % parts == part:
                yield codec, rows, file.read(size)
            else:
                file.seek(size, os.SEEK_CUR)
            place += 1


class Pusher:
    """One producer that has all its batches already."""

    def __init__(self, ingest: str, publish: str) -> None:
        producer = os.urandom(PRODUCER_BYTES)
        self.window = Window(producer, time.time_ns())
        self._push = transport.push(ingest)
        self._replies = transport.subscribe(publish, [ACKNOWLEDGE_TOPIC + producer])
        self._poller = transport.Poller()
        self._poller.watch(self._replies)
        self._greeted = False

    def greet(self) -> None:
        """Wait for the ingester's HELLO."""
        end = time.monotonic() + _HELLO_S
        while not self._greeted:
            if time.monotonic() > end:
                raise RuntimeError(f"no HELLO within {_HELLO_S} s")
            self._poller.wait(0.1)
            self._listen()

    def push(self, source: Iterator[tuple[int, int, bytes]]) -> int:
        """Send all and wait until all is durable; how many rows."""
        following = next(source, None)
        while following is not None or self.window.durable < self.window.last:
            blocked = False
            while not blocked:
                if following is not None and self.window.idle():
                    codec, rows, payload = following
                    following = next(source, None)
                    self.window.add(payload, rows, codec, flush=following is None)
                frames = self.window.take(time.time_ns(), 0)
                if frames is None:
                    break
                blocked = not transport.send(self._push, list(frames))
                if blocked:
                    self.window.untake()
            self._wait(blocked)
        return self.window.durable

    def close(self) -> None:
        """Close the sockets."""
        self._push.close(0)
        self._replies.close(0)

    def _wait(self, blocked: bool) -> None:
        if blocked:
            self._poller.watch(self._push, write=True)
        self._poller.wait(0.1)
        if blocked:
            self._poller.forget(self._push)
        self._listen()
        self.window.expire(time.time_ns())

    def _listen(self) -> None:
        while (frames := transport.receive(self._replies)) is not None:
            reply = parse_acknowledgement(frames[-1])
            self._greeted |= reply.kind == Reply.HELLO
            self.window.acknowledge(reply, time.time_ns())


def push(arguments: argparse.Namespace) -> None:
    """Push one part of the file; report rows, CPU and what was sent twice."""
    pusher = Pusher(arguments.ingest, arguments.publish)
    pusher.greet()
    await_go()
    before = own_cpu()
    rows = pusher.push(read(arguments.file, arguments.part, arguments.parts))
    report = {
        "rows": rows,
        "ended": time.perf_counter(),
        "cpu_seconds": own_cpu() - before,
        "resent": pusher.window.resent,
        "rejected": pusher.window.rejected,
    }
    print(json.dumps(report), flush=True)
    pusher.close()


def main() -> None:
    """Make or push."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("make", "push"))
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--entries", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mixed", action="store_true")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--ingest")
    parser.add_argument("--publish")
    parser.add_argument("--part", type=int, default=0)
    parser.add_argument("--parts", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.step == "make":
        gc.disable()  # millions of entries, none of them in a cycle
        make(
            arguments.file,
            arguments.entries,
            arguments.seed,
            mixed=arguments.mixed,
            plain=arguments.plain,
        )
    else:
        push(arguments)


if __name__ == "__main__":
    main()
