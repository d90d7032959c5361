"""What `pipeline doctor` looks at: processes, the database, disk, permissions."""

from __future__ import annotations

import json
import os
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from pipeline import clock, control
from pipeline.cli.printable import on_one_line
from pipeline.cli.remote import Remote
from pipeline.cli.verdicts import Facts
from pipeline.collectors.location import spool_folder
from pipeline.errors import PipelineError, QueryError, StoreError
from pipeline.ingester.space.policy import marks_of
from pipeline.settings import Settings
from pipeline.store.database import DatabaseError, open_reader, size_on_disk
from pipeline.store.reader import Reader

ANSWER_SECONDS: Final = 5.0
"""One that waits for a disk or a core is slow; silence of so long is an illness."""

COMPLAINTS: Final = "source:pipeline level:>=WARN"
MESSAGE_CHARACTERS: Final = 200
_OTHERS: Final = 0o077
_BATCH: Final = 500
_MB: Final = 1_000_000


def gather(settings: Settings, errors: list[str], url: str, now: float) -> Facts:
    """Look at everything; `now` is in seconds since 1970."""
    facts = Facts(now, errors, wants_analyzer=settings.alerts.enabled)
    _ask_gateway(facts, url)
    _ask_others(facts, settings)
    _look_at_store(facts, settings)
    _look_at_disk(facts, settings)
    _look_at_files(facts, settings)
    return facts


def _ask_gateway(facts: Facts, url: str) -> None:
    try:
        with closing(Remote(url, ANSWER_SECONDS)) as gateway:
            facts.health = json.loads(gateway.ask("health", {}))
            facts.metrics = json.loads(gateway.ask("get_metrics", {}))
    except PipelineError as error:
        facts.gateway_problem = str(error)


def _ask_others(facts: Facts, settings: Settings) -> None:
    database = settings.storage.db_path
    ingester = control.endpoint_of(settings.control.endpoint, database)
    facts.ingester = _maybe_status(ingester)
    facts.analyzer = _maybe_status(control.analyzer_endpoint_of(database))


def _maybe_status(endpoint: str) -> dict[str, Any] | None:
    # a socket that nobody made: no need to wait for an answer
    path = endpoint.removeprefix("ipc://")
    if path != endpoint and not Path(path).exists():
        return None
    try:
        return control.Client(endpoint).status(ANSWER_SECONDS)
    except control.ControlError:
        return None


def _look_at_store(facts: Facts, settings: Settings) -> None:
    path = Path(settings.storage.db_path)
    facts.database = str(path.absolute())
    facts.exists = path.exists()
    facts.most_bytes = settings.storage.max_size_mb * _MB
    if not facts.exists:
        return
    facts.used_bytes = size_on_disk(path)
    try:
        with closing(Reader(path)) as reader:
            reader.refresh()
            facts.blocks = len(reader.headers)
            facts.entries = sum(header.rows for header in reader.headers)
            facts.damaged = _damaged(reader)
        with closing(open_reader(path)) as connection:
            facts.newest_commit = _newest(connection)
        _look_at_complaints(facts, path)
    except (StoreError, DatabaseError) as error:
        facts.store_problem = str(error)


def _look_at_complaints(facts: Facts, path: Path) -> None:
    from pipeline.query.answer import Engine, Limits

    engine = Engine(path, Limits(), clock.monotonic)
    asked = {"q": COMPLAINTS, "since": "1h", "limit": 1, "fields": ["message"]}
    try:
        reply = engine.answer("query", asked, int(facts.now * 1e9), engine.budget())
    except QueryError:  # too large to be looked through in time
        return
    found = json.loads(reply)
    facts.complaints = found["count"]
    for entry in found["logs"]:
        facts.complaint = on_one_line(entry["message"])[:MESSAGE_CHARACTERS]


def _damaged(reader: Reader) -> int:
    """Blocks whose header is not as it was written; their data are not looked at."""
    ids = [header.id for header in reader.headers]
    damaged = 0
    for at in range(0, len(ids), _BATCH):
        some = ids[at : at + _BATCH]
        try:
            reader.counts(some)
        except StoreError:
            damaged += sum(not _is_sound(reader, each) for each in some)
    return damaged


def _is_sound(reader: Reader, block: int) -> bool:
    try:
        reader.counts([block])
    except StoreError:
        return False
    return True


def _newest(connection: Any) -> float | None:
    tables = {
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        )
    }
    moments = [
        connection.execute(f"SELECT max(committed) FROM {table}").fetchone()[0]  # noqa: S608 - our own names
        for table in ("blocks", "compacted")
        if table in tables
    ]
    known = [moment for moment in moments if moment is not None]
    return max(known) / 1e9 if known else None


def _look_at_disk(facts: Facts, settings: Settings) -> None:
    folder = _existing(Path(settings.storage.db_path).absolute().parent)
    found = os.statvfs(folder)
    facts.disk_bytes = found.f_blocks * found.f_frsize
    facts.free_bytes = found.f_bavail * found.f_frsize
    storage = settings.storage
    marks = marks_of(facts.disk_bytes, storage.low_water_mb, storage.reserve_mb)
    facts.low_water_bytes = marks.low


def _look_at_files(facts: Facts, settings: Settings) -> None:
    database = Path(settings.storage.db_path).absolute()
    spools = spool_folder(settings.collector.spool_dir, settings.ingest.endpoint)
    for folder in (_existing(each) for each in (database.parent, spools) if each):
        if not os.access(folder, os.W_OK | os.X_OK):
            facts.unwritable.append(str(folder))
    if database.exists() and not os.access(database, os.W_OK):
        facts.unwritable.append(str(database))
    for path in (database, *database.parent.glob(f"{database.name}.*")):
        with suppress(OSError):
            mode = path.stat().st_mode & 0o777
            if mode & _OTHERS and path.is_file():
                facts.exposed.append((str(path), mode))


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there already."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
