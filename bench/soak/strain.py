"""What a soak does to a pipeline meanwhile: questions, tails, backups, kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from bench.processes import Place, stop
from bench.soak.line import Line, NoAnswerError
from bench.soak.watch import Event, processes_of

ASK_SECONDS: Final = 0.5
BACKUP_SECONDS: Final = 600.0

QUESTIONS: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("query", {"levels": ["ERROR"], "limit": 100, "count": "none"}),
    ("query", {"trace_id": "ab" * 16, "count": "none"}),
    ("query", {"q": "splitbrain{turn}", "count": "none"}),
    ("get_stats", {"timerange": "5m"}),
    ("query", {"q": "timeout level:>=WARN", "limit": 20, "since": "5m"}),
)
TAILS: Final = (("--level", "FATAL"), ("--source", "soak-probe"))


class Asker(threading.Thread):
    """Asks one question after another; counts answers, and errors by their text."""

    def __init__(self, where: Place, first: int) -> None:
        super().__init__(name="asker", daemon=True)
        self._where, self._turn = where, first
        self.end = threading.Event()
        self.answers = 0
        self.errors: Counter[str] = Counter()
        self.slowest = 0.0

    def run(self) -> None:
        """Ask."""
        line = Line(self._where.port)
        while not self.end.wait(ASK_SECONDS):
            self._turn += 1
            method, params = QUESTIONS[self._turn % len(QUESTIONS)]
            params = json.loads(json.dumps(params).replace("{turn}", str(self._turn)))
            began = time.monotonic()
            try:
                line.ask(method, params)
            except NoAnswerError as error:
                self.errors[str(error)[:120]] += 1
            else:
                self.answers += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
        line.close()


class Tail:
    """`pipeline tail` through the gateway, started again when it ends."""

    def __init__(self, where: Place, words: tuple[str, ...], number: int) -> None:
        self._path = where.folder / f"tail-{number}.out"
        url = f"http://127.0.0.1:{where.port}"
        own = [sys.executable, "-m", "pipeline", "tail", *words]
        self._words = [*own, "--json", "-n", "0", "--url", url]
        self._environ = where.environ
        self._child: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def keep_up(self) -> None:
        """Start it when it does not run."""
        if self._child is not None and self._child.poll() is None:
            return
        self.starts += 1
        with self._path.open("ab") as out:
            self._child = subprocess.Popen(
                self._words, env=self._environ, stdout=out, stderr=subprocess.DEVNULL
            )

    def close(self) -> None:
        """End it."""
        if self._child is not None and self._child.poll() is None:
            stop(self._child)

    @property
    def shown(self) -> int:
        """How many entries it has shown."""
        return self._path.read_bytes().count(b"\n")


class Schedule(threading.Thread):
    """Does something every so many seconds, until `end` is set; notes it."""

    def __init__(
        self, seconds: float, start: float, work: Callable[[], str | None]
    ) -> None:
        """`work` says what it did; None: nothing."""
        super().__init__(name="schedule", daemon=True)
        self._seconds, self._start, self._work = seconds, start, work
        self.end = threading.Event()
        self.events: list[Event] = []

    def run(self) -> None:
        """Work."""
        while not self.end.wait(self._seconds):
            at = time.monotonic() - self._start
            what = self._work()
            if what is not None:
                self.events.append(Event(at, what))


def killer(supervisor: int, seed: int) -> Callable[[], str | None]:
    """Ends a process of the pipeline, any but the supervisor, with SIGKILL."""
    chance = random.Random(seed)

    def kill() -> str | None:
        # each role is as likely as another, however many processes have it
        found: dict[str, list[int]] = {}
        for pid, role in sorted(processes_of(supervisor).items()):
            found.setdefault(role, []).append(pid)
        if not found:
            return None
        role = chance.choice(sorted(found))
        with suppress(ProcessLookupError):
            os.kill(chance.choice(found[role]), signal.SIGKILL)
        return f"kill {role}"

    return kill


def reloader(where: Place) -> Callable[[], str | None]:
    """Has the configuration read anew."""

    def reload() -> str | None:
        line = Line(where.port)
        try:
            line.ask("reload_config", {})
        except NoAnswerError as error:
            return f"reload failed: {str(error)[:120]}"
        finally:
            line.close()
        return "reload"

    return reload


def backups(where: Place, folder: Path) -> Callable[[], str | None] | None:
    """`pipeline backup` into one folder; None where there is no such command."""
    words = [sys.executable, "-m", "pipeline", "backup"]
    helped = subprocess.run([*words, "--help"], capture_output=True, check=False)
    if helped.returncode:
        return None

    def back_up() -> str | None:
        done = subprocess.run(
            [*words, str(folder)],
            env=where.environ,
            cwd=where.folder,
            capture_output=True,
            text=True,
            timeout=BACKUP_SECONDS,
            check=False,
        )
        if done.returncode:
            return f"backup failed: {done.stderr.strip()[-200:]}"
        return "backup"

    return back_up
