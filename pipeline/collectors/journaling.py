"""What `pipeline collect` complains of, on its way into the store like any other entry.

A thread of its own: what is followed must not wait for it. A collector of its own is
only loaded once there is something, which a process that follows nothing never has.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from pipeline import journal
from pipeline.entry import Entry
from pipeline.settings.model import Settings

if TYPE_CHECKING:
    from pipeline.collectors.collector import Collector

EVERY_SECONDS: Final = 0.5
END_SECONDS: Final = 1.0
MEMORY_BYTES: Final = 1 << 20


class Journaling:
    """Hands over what was noted, twice a second, until it is closed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._collector: Collector | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="journaling", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Hand over what is left; it gets a second to be stored."""
        self._stop.set()
        self._thread.join()
        journal.own.store(self._write)
        if self._collector is not None:
            self._collector.close(END_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            journal.own.store(self._write)

    def _write(self, entry: Entry) -> bool:
        if self._collector is None:
            self._collector = _collector(self._settings)
        return self._collector.submit([entry])


def _collector(settings: Settings) -> Collector:
    from pipeline.collectors.collector import Collector
    from pipeline.redaction import rules_of

    return Collector(
        settings.ingest.endpoint,
        journal.SOURCE,
        acknowledge_endpoint=settings.publish.endpoint,
        memory_bytes=MEMORY_BYTES,
        spool="off",
        redaction=rules_of(settings.redaction),
    )
