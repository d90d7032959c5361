"""A real ingester for tests of what sends to one, and a look into its store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.entry import Entry
from pipeline.store.reader import Reader


class RunningIngester:
    """An ingester process with sockets and a database in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.ingest = f"ipc://{folder}/ingest"
        self.publish = f"ipc://{folder}/publish"
        self.database = folder / "test.db"
        self.environment = os.environ | {
            "PIPELINE_INGEST__ENDPOINT": self.ingest,
            "PIPELINE_PUBLISH__ENDPOINT": self.publish,
            "PIPELINE_STORAGE__DB_PATH": str(self.database),
        }
        self._child: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it takes entries."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "ingester"],
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        assert self._child.stderr is not None
        assert self._child.stderr.readline().startswith("ingester ready")

    def stop(self) -> None:
        """End it, if it runs."""
        if self._child is not None:
            self._child.send_signal(signal.SIGTERM)
            self._child.communicate(timeout=20)
            self._child = None

    def pause(self) -> None:
        """Let it hang."""
        assert self._child is not None
        self._child.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._child is not None
        self._child.send_signal(signal.SIGCONT)

    def entries(self, source: str | None = None) -> list[Entry]:
        """What is stored, in the order in which each sender numbered it."""
        reader = Reader(self.database)
        reader.refresh()
        numbered: list[tuple[int, int, Entry]] = []
        for header in reader.headers:
            block = reader.load(header)
            rows = np.arange(block.rows)
            numbers = [number for _, number in block.identities(rows)]
            entries = block.batch.entries(rows)
            numbered += zip([header.first] * block.rows, numbers, entries, strict=True)
        reader.close()
        found = [entry for _, _, entry in sorted(numbered, key=lambda row: row[:2])]
        return [entry for entry in found if source in (None, entry.source)]

    def numbers(self, source: str) -> list[int]:
        """The numbers that its sender gave to what is stored of a source."""
        reader = Reader(self.database)
        reader.refresh()
        found: list[int] = []
        for header in reader.headers:
            block = reader.load(header)
            rows = np.arange(block.rows)
            pairs = zip(block.batch.entries(rows), block.identities(rows), strict=True)
            found += [number for entry, (_, number) in pairs if entry.source == source]
        reader.close()
        return found

    def wait_for(self, message: str, seconds: float = 20.0) -> Entry:
        """The entry with this message, as soon as it is stored."""
        return self._wait_for(message, message.__eq__, seconds)

    def wait_for_beginning(self, words: str, seconds: float = 20.0) -> Entry:
        """The entry whose message begins so, as soon as it is stored."""
        return self._wait_for(words, lambda each: each.startswith(words), seconds)

    def _wait_for(
        self, what: str, fits: Callable[[str], bool], seconds: float
    ) -> Entry:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for entry in self.entries():
                if fits(entry.message):
                    return entry
            time.sleep(0.02)
        raise AssertionError(f"{what!r} was not stored within {seconds} s")
