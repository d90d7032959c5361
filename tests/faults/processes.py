"""Real processes that a fault may kill, freeze and start again.

What they say goes to files in their folder, so that no pipe fills up and a failure can
be read afterwards.  All of them are ended with the `with` that started them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.faults.oracle import oracles_of

READY_SECONDS = 30.0
END_SECONDS = 180.0
POLL_SECONDS = 0.01
ROOT = Path(__file__).parents[2]


def wait_for(what: str, condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """The first true value of the condition; raises AssertionError when time is up."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(POLL_SECONDS)
    return found


class Process:
    """A process of a fault; `ready` is a pattern in what it says."""

    def __init__(
        self,
        words: Sequence[str],
        said: Path,
        ready: str,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.words = list(words)
        self.said = said
        self.environment = environment or dict(os.environ)
        self.child: subprocess.Popen[bytes] | None = None
        self._ready = re.compile(ready, re.M)
        self._from = 0

    def start(self) -> Self:
        """Start it and wait until it is ready."""
        self.begin()
        return self.await_ready()

    def begin(self) -> None:
        """Start it without waiting."""
        self._from = self.said.stat().st_size if self.said.exists() else 0
        with self.said.open("ab") as log:
            self.child = subprocess.Popen(
                self.words,
                env=self.environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def await_ready(self) -> Self:
        """Wait until it says so; raises AssertionError when it ends instead."""
        wait_for(f"{self.said.name} is ready", self._is_ready, READY_SECONDS)
        return self

    @property
    def text(self) -> str:
        """What it has said since it was started last."""
        with self.said.open("rb") as log:
            log.seek(self._from)
            return log.read().decode(errors="replace")

    def _is_ready(self) -> bool:
        if self._ready.search(self.text):
            return True
        assert self.running.poll() is None, f"{self.said.name}: {self.text[-2000:]}"
        return False

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The child; raises AssertionError when it was never started."""
        assert self.child is not None
        return self.child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.running.pid

    def kill(self) -> None:
        """SIGKILL: nothing in it runs any more."""
        self.running.kill()
        self.running.wait(END_SECONDS)

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting."""
        self.running.send_signal(signal.SIGTERM)

    def stop(self, seconds: float = END_SECONDS) -> int:
        """SIGTERM; its exit code."""
        self.ask_to_stop()
        return self.running.wait(seconds)

    def freeze(self) -> None:
        """SIGSTOP, and wait until it has taken effect."""
        self.running.send_signal(signal.SIGSTOP)
        wait_for("frozen", lambda: state_of(self.pid) == "T")

    def thaw(self) -> None:
        """SIGCONT."""
        self.running.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Whatever state it is in."""
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)
            self.kill()


def state_of(pid: int) -> str:
    """The kernel's letter for what a process does: R, S, T ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Ingester(Process):
    """An ingester over a database in `folder`; settings as SECTION__NAME="value"."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.ingest = settings.setdefault("INGEST__ENDPOINT", f"ipc://{folder}/in")
        self.publish = settings.setdefault("PUBLISH__ENDPOINT", f"ipc://{folder}/out")
        database = settings.setdefault("STORAGE__DB_PATH", f"{folder}/logs.db")
        settings.setdefault("STORAGE__MAX_SIZE_MB", "100000")
        self.database = Path(database)
        super().__init__(
            [sys.executable, "-m", "pipeline", "ingester"],
            folder / "ingester.log",
            "^ingester ready",
            os.environ | {f"PIPELINE_{name}": text for name, text in settings.items()},
        )

    def kill_and_restart(self) -> None:
        """kill -9, and a new one at once."""
        self.kill()
        self.start()


class Pipeline(Ingester):
    """`pipeline up`: the ingester and all others, under a supervisor."""

    def __init__(self, folder: Path, **settings: str) -> None:
        super().__init__(folder, SERVER__PORT="0", **settings)
        self.words[-1] = "up"
        self._ready = re.compile(r"\bready: ")


class Beside(Process):
    """Another process of the pipeline, beside an ingester: gateway or analyzer."""

    def __init__(self, name: str, ingester: Ingester) -> None:
        super().__init__(
            [sys.executable, "-m", "pipeline", name],
            ingester.folder / f"{name}.log",
            f"^{name} ready",
            ingester.environment | {"PIPELINE_SERVER__PORT": "0"},
        )

    @property
    def port(self) -> int:
        """Of the gateway."""
        found = re.search(r"ready http://.*:(\d+)", self.text)
        assert found is not None
        return int(found[1])


class Producer(Process):
    """A `tests.faults.producer` with an oracle named like the source.

    Its threads and children have others beside it.
    """

    def __init__(self, ingester: Ingester, source: str, *options: str) -> None:
        threads = _count(options, "--threads", 1)
        children = _count(options, "--children", 0)
        self.oracles = oracles_of(ingester.folder / source, threads, children)
        self.oracle = self.oracles[0]
        words = [sys.executable, "-m", "tests.faults.producer", str(self.oracle.path)]
        words += ["--endpoint", ingester.ingest, "--publish", ingester.publish]
        words += ["--spool-dir", str(ingester.folder / "spool")]
        said, environment = ingester.folder / f"{source}.log", dict(os.environ)
        if "PIPELINE_CURVE__ENABLED" in ingester.environment:
            environment["PIPELINE_CURVE__KEY_FILE"] = f"{ingester.database}.curve"
        super().__init__([*words, *options], said, "^producing", environment)

    @property
    def report(self) -> dict[str, Any]:
        """Its last line, once it has ended."""
        report: dict[str, Any] = json.loads(self.text.splitlines()[-1])
        return report

    def finish(
        self, seconds: float = END_SECONDS, *, drops: bool = False
    ) -> dict[str, Any]:
        """Wait until it has flushed and closed; its report.

        All of it must be durable, unless its policy `drops` entries.
        """
        code = self.running.wait(seconds)
        assert code == 0, f"{self.said.name} ended with {code}: {self.text[-2000:]}"
        report = self.report
        assert drops or (report["flushed"] and report["closed"]), report
        return report


def _count(options: Sequence[str], name: str, default: int) -> int:
    return int(options[options.index(name) + 1]) if name in options else default


@contextmanager
def started(*processes: Process) -> Iterator[None]:
    """Start them together; none of them is left at the end."""
    try:
        for process in processes:
            process.begin()
        for process in processes:
            process.await_ready()
        yield
    finally:
        for process in reversed(processes):
            process.end()


def finish(producers: Sequence[Producer]) -> None:
    """Ask all of them to stop, then wait until all is durable."""
    for producer in producers:
        producer.ask_to_stop()
    for producer in producers:
        producer.finish()
