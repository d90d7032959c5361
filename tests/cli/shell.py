"""The commands as people and scripts run them: processes, pipes and terminals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipeline.cli import main
from pipeline.entry import Entry
from tests.query.stores import append

COMMAND = [sys.executable, "-W", "error", "-m", "pipeline"]
SECONDS = 30
START = 1_795_000_000_000_000_000

EVIL = "\x1b[2J\x1b]0;own\x07 \x9b31m\x85 \u202egnp.exe \u2066x\u2069 a\rb\x08\x7f\0"
"""Clears screens, names windows, turns directions, and goes back over what stands."""

_OF_DIRECTION = "\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2069"
_CONTROLS = [*range(9), *range(11, 32), *range(127, 160)]
DANGEROUS = {*map(chr, _CONTROLS), *_OF_DIRECTION}


def entry(number: int, **changes: Any) -> Entry:
    """The entry of that number: one a second, three sources, six levels."""
    made = Entry(
        START + number * 1_000_000_000,
        ("api", "web", "데이터베이스")[number % 3],
        (1, 5, 9, 13, 17, 21)[number % 6],
        f"request {number} took {number % 7} ms",
        {"path": f"/p/{number % 4}", "duration_ms": number * 0.5},
        [f"t{number % 2}"],
        f"trace-{number // 5}",
    )
    return made._replace(**changes)


def evil(number: int = 0) -> Entry:
    """An entry that has what a terminal obeys in every field."""
    return entry(
        number,
        source=f"s{EVIL}",
        message=f"m{EVIL}\nforged {EVIL}",
        metadata={f"k{EVIL}": [EVIL, {EVIL: EVIL}], "plain": EVIL},
        tags=[EVIL],
        trace_id=f"trace{EVIL}",
    )


def fill(path: Path, entries: Sequence[Entry], first: int = 1) -> None:
    """Store them, in two commits."""
    half = len(entries) // 2
    parts = [part for part in (entries[:half], entries[half:]) if part]
    append(path, [[(0, part)] for part in parts], first)


class Shell:
    """Runs commands over one database."""

    def __init__(self, database: Path, **environment: str) -> None:
        self.database = database
        self.environment = {
            name: value for name, value in os.environ.items() if name != "NO_COLOR"
        } | {
            "PIPELINE_STORAGE__DB_PATH": str(database),
            "TERM": "xterm-256color",
            "PAGER": "cat",
            **environment,
        }

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """A command whose output and errors are pipes."""
        streams: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        return subprocess.Popen(
            [*COMMAND, *words], env=self.environment, **(streams | options)
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        """Its exit code, output and errors."""
        with self.start(*words) as child:
            out, errors = child.communicate(timeout=SECONDS)
        return child.returncode, out.decode(), errors.decode()

    def here(self, *words: str) -> tuple[int, str, str]:
        """The same as `run` within this process, which is quicker."""
        out, errors = (TextIOWrapper(BytesIO(), "utf-8", newline="") for _ in "ab")
        with (
            patch.dict(os.environ, self.environment),
            redirect_stdout(out),
            redirect_stderr(errors),
        ):
            code = main([*words])
        texts = []
        for stream in (out, errors):
            stream.flush()
            texts.append(stream.detach().getvalue().decode())  # type: ignore[attr-defined]
        return code, texts[0], texts[1]

    def lines(self, *words: str) -> list[str]:
        """What it writes; it must succeed in silence."""
        code, out, errors = self.here(*words)
        assert (code, errors) == (0, "")
        return out.splitlines()

    def maps(self, *words: str) -> list[Any]:
        """The same with --json."""
        return [json.loads(line) for line in self.lines(*words, "--json")]

    def on_terminal(
        self, *words: str, rows: int = 24, columns: int = 100
    ) -> tuple[int, str]:
        """Its exit code, and all that a terminal gets: output and errors."""
        master, slave = pty.openpty()
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), slave)
        with self.start(*words, **streams, start_new_session=True) as child:
            os.close(slave)
            shown = _read_all(master)
            code = child.wait(SECONDS)
        os.close(master)
        return code, shown.decode().replace("\r\n", "\n")


def _read_all(descriptor: int) -> bytes:
    found = b""
    end = time.monotonic() + SECONDS
    while select.select([descriptor], [], [], max(0, end - time.monotonic()))[0]:
        try:
            piece = os.read(descriptor, 65_536)
        except OSError:  # the last one that had the terminal has closed it
            return found
        if not piece:
            return found
        found += piece
    raise AssertionError(f"it did not end: {found[-500:]!r}")


class Following:
    """A command that goes on; its lines are read as they come."""

    def __init__(self, shell: Shell, *words: str) -> None:
        self.child = shell.start(*words)
        self.lines: list[str] = []
        self._rest = b""

    def until(self, done: Callable[[list[str]], bool]) -> list[str]:
        """All lines so far, as soon as `done` likes them."""
        assert self.child.stdout is not None
        descriptor = self.child.stdout.fileno()
        end = time.monotonic() + SECONDS
        while not done(self.lines):
            left = max(0, end - time.monotonic())
            assert select.select([descriptor], [], [], left)[0], self.lines
            piece = os.read(descriptor, 65_536)
            assert piece, (self.lines, self.child.stderr.read())  # type: ignore[union-attr]
            *whole, self._rest = (self._rest + piece).split(b"\n")
            self.lines += [line.decode() for line in whole]
        return self.lines

    def until_message(self, text: str) -> list[str]:
        """All lines so far, as soon as one has the text."""
        return self.until(lambda lines: any(text in line for line in lines))

    def interrupt(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """End it as Ctrl-C does; exit code and errors."""
        self.child.send_signal(number)
        _, errors = self.child.communicate(timeout=SECONDS)
        return self.child.returncode, errors.decode()

    def kill(self) -> None:
        """End it if it still runs."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.communicate(timeout=SECONDS)


def dangerous(text: str) -> set[str]:
    """The characters in it that no terminal should get from an entry."""
    return DANGEROUS & set(text)


def only(log: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Some fields of an entry."""
    return {name: log[name] for name in names}
