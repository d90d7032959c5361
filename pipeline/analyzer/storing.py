"""Where entries of alerts wait until the ingester has them.

They are on disk before anybody is told, so that an alert outlives this process however
it ends. The spool is the analyzer's alone: what a dead one left has to be stored before
the store is asked what is open, or the same alert would open twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pipeline import journal
from pipeline.alerts import SOURCE
from pipeline.collectors.collector import Collector
from pipeline.collectors.location import spool_folder
from pipeline.entry import Entry
from pipeline.errors import ConfigError
from pipeline.settings import Settings

FOLDER: Final = "alerts"


class Storing:
    """Entries on their way to the store; raises nothing once it is made."""

    def __init__(self, settings: Settings) -> None:
        endpoints = settings.ingest.endpoint, settings.publish.endpoint
        given = asdict(settings.collector)
        shared = spool_folder(settings.collector.spool_dir, endpoints[0])
        self._left: list[Path] = []
        if shared is not None:
            given["spool_dir"] = str(shared.parent / FOLDER)
            own = spool_folder(given["spool_dir"], endpoints[0])
            self._left = _files_in(own)
        try:
            self._collector = _collector(endpoints, {**given, "spool": "always"})
        except ConfigError as error:
            journal.warn("analyzer", f"alerts wait in memory only: {error}")
            self._collector = _collector(endpoints, {**given, "spool": "off"})
        if self._left:
            self._collector.adopt()

    @property
    def has_left(self) -> bool:
        """Whether something of a dead analyzer's is not stored yet."""
        self._left = [path for path in self._left if path.exists()]
        return bool(self._left)

    def write(self, entry: Entry) -> bool:
        """Have it stored; False when there is no room, which is said."""
        if self._collector.submit([entry]):
            return True
        journal.error("analyzer", f"an alert could not be stored: {entry.message}")
        return False

    def note(self, entry: Entry) -> bool:
        """Have a note of the analyzer's own stored; False when there is no room."""
        return self._collector.submit([entry])

    def stats(self) -> dict[str, object]:
        """The collector's counters."""
        return self._collector.stats()

    def close(self) -> None:
        """Send what is here."""
        self._collector.close()


def _collector(endpoints: Sequence[str], given: dict[str, Any]) -> Collector:
    ingest, publish = endpoints
    return Collector(ingest, SOURCE, acknowledge_endpoint=publish, **given)


def _files_in(folder: Path | None) -> list[Path]:
    if folder is None or not folder.is_dir():
        return []
    try:
        return list(folder.iterdir())
    except OSError:
        return []
