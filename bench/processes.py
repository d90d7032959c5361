"""Real processes of the pipeline for a bench: free ports, a folder of their own."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any, Final

import msgpack

from bench.measure import file_bytes
from pipeline.control import Client, endpoint_of

_START_S: Final = 30
_STOP_S: Final = 30
_SETTLED: Final = 4
"""Seconds without a change of the file: replaced blocks have gone."""

_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Place:
    """Addresses and files of one pipeline."""

    folder: Path
    ingest: str
    publish: str
    port: int

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.folder / "logs.db"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of its processes."""
        return {
            **os.environ,
            "PIPELINE_METRICS__CANARY_SECONDS": "0",  # only what is logged is counted
            "PIPELINE_INGEST__ENDPOINT": self.ingest,
            "PIPELINE_PUBLISH__ENDPOINT": self.publish,
            "PIPELINE_STORAGE__DB_PATH": str(self.database),
            "PIPELINE_STORAGE__MAX_SIZE_MB": "100000",
            "PIPELINE_SERVER__PORT": str(self.port),
            "PIPELINE_QUERY__TIMEOUT_SECONDS": "30",
            "PIPELINE_COLLECTOR__SPOOL_DIR": str(self.folder / "spool"),
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }

    def disk(self) -> int:
        """Bytes of the database after a checkpoint; nobody else may write by now."""
        connection = sqlite3.connect(self.database)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return file_bytes(self.database, Path(f"{self.database}-wal"))


def place(folder: Path) -> Place:
    """A place with three ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in sockets]
    addresses = [f"tcp://127.0.0.1:{port}" for port in ports[:2]]
    return Place(folder, addresses[0], addresses[1], ports[2])


@contextmanager
def running(
    name: str, where: Place, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m pipeline NAME`, from when it is ready; stopped at the end."""
    said = where.folder / f"{name}.log"
    with said.open("ab") as log:
        before = log.tell()  # of an earlier run, in a folder that was kept
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", name],
            env={**where.environ, **(environ or {})},
            cwd=where.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _await_ready(process, name, said, before)
        yield process
    finally:
        stop(process)


def _await_ready(
    process: subprocess.Popen[bytes], name: str, said: Path, before: int
) -> None:
    """Wait for the line that every process prints, and `up` when all have."""
    wanted = re.compile(r"\bready: " if name == "up" else rf"^{name} ready", re.M)
    end = time.monotonic() + _START_S
    while not wanted.search(
        text := said.read_bytes()[before:].decode(errors="replace")
    ):
        if time.monotonic() > end or process.poll() is not None:
            raise RuntimeError(f"{name} has not become ready:\n{text[-2_000:]}")
        time.sleep(0.02)


def compact(where: Place) -> None:
    """Have an ingester compact all there is, and give back what that freed."""
    soon = {"PIPELINE_COMPACTION__KEEP_REPLACED_SECONDS": "1"}
    with running("ingester", where, soon):
        Client(endpoint_of("", str(where.database))).compact()
        settled = 0
        while settled < _SETTLED:
            size = where.database.stat().st_size
            time.sleep(1)
            settled = settled + 1 if where.database.stat().st_size == size else 0


def stop(process: subprocess.Popen[Any]) -> None:
    """Ask it to end, and wait; it is killed when it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Asker:
    """A query worker of its own, asked without the gateway in between."""

    def __init__(self, where: Place) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "query-worker"],
            env=where.environ,
            cwd=where.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._questions = 0

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def wait_ready(self) -> None:
        """Until it answers; it has not looked at the database then."""
        with suppress(RuntimeError):
            self.ask("", {})

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The worker's result; raises RuntimeError with its error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions += 1
        question = {
            "id": self._questions,
            "method": method,
            "params": dict(params),
            "now": time.time_ns(),
            "timeout": 600.0,
        }
        packed = msgpack.packb(question)
        self._process.stdin.write(_LENGTH.pack(len(packed)) + packed)
        self._process.stdin.flush()
        reply = msgpack.unpackb(_frame(self._process.stdout))
        if reply.get("result") is None:
            raise RuntimeError(f"{method}: {reply.get('error')}")
        result: dict[str, Any] = json.loads(reply["result"])
        return result

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_STOP_S)
        self._process.stdout.close()


def _frame(stream: IO[bytes]) -> bytes:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise RuntimeError("the query worker has ended")
    return stream.read(_LENGTH.unpack(head)[0])


class Gateway:
    """The gateway's JSON-RPC over one kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port)

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """A call's result; raises RuntimeError with its error."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(params)}
        kind = {"Content-Type": "application/json"}
        self._connection.request("POST", "/rpc", json.dumps(call), kind)
        reply = json.loads(self._connection.getresponse().read())
        if "result" not in reply:
            raise RuntimeError(f"{method}: {reply.get('error')}")
        result: dict[str, Any] = reply["result"]
        return result

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Feeder:
    """A process of a bench that says when it is ready, waits for go, and reports."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line("ready")

    def go(self) -> None:
        """Let it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def finish(self) -> None:
        """Tell one that works until then that it is enough."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def report(self) -> dict[str, Any]:
        """What it has measured, once it is done."""
        line = self._line("{")
        self.process.wait(_STOP_S)
        report: dict[str, Any] = json.loads(line)
        return report

    def end(self) -> None:
        """End it, done or not."""
        if self.process.poll() is None:
            stop(self.process)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def _line(self, start: str) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith(start):
            raise RuntimeError(f"a feeder said {line!r}; expected {start!r}")
        return line


def told_to_finish() -> bool:
    """A feeder's side: whether it is enough."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def await_go() -> None:
    """A feeder's side: say ready, wait for go; end when the bench has ended."""
    print("ready", flush=True)
    if not sys.stdin.readline():
        raise SystemExit(1)
