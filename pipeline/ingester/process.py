"""The ingester's process: opened once its disk has room, ended by a signal."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline import journal, limits, memory, service
from pipeline.errors import StoreError
from pipeline.ingester.ingester import NAME, Ingester
from pipeline.ingester.space.space import lacks_room
from pipeline.settings import Settings
from pipeline.settings.watching import Configuration

ROOM_SECONDS: Final = 1.0
"""Between two tries to open the database, where the disk is full."""


def _maybe_opened(
    settings: Settings, configuration: Configuration, stop: service.StopSignal
) -> Ingester | None:
    """Once there is room for its files; None: asked to stop before."""
    is_told = False
    while True:
        try:
            return Ingester(settings, configuration)
        except StoreError as error:
            if not lacks_room(Path(settings.storage.db_path)):
                raise
            if not is_told:
                journal.error(NAME, f"{error}; it starts when there is room")
            is_told = True
        if stop.wait(ROOM_SECONDS):
            return None


def run(settings: Settings, configuration: Configuration) -> None:
    """The ingester's process: until SIGTERM or SIGINT."""
    memory.return_large_blocks()
    service.allow_descriptors(limits.PEERS)
    journal.note_threads(NAME)
    stop = service.stop_on_signals(service.END_SIGNALS)
    ingester = _maybe_opened(settings, configuration, stop)
    if ingester is None:
        return
    service.announce_ready(NAME, settings.ingest.endpoint)
    try:
        ingester.run(stop)
    finally:
        ingester.close()
