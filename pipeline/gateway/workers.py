"""How the gateway's query workers are started, and by which settings they go."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from pipeline import clock, service
from pipeline.gateway.pool import Pool
from pipeline.settings import Settings


def worker_environment(settings: Settings) -> dict[str, str]:
    """This process's settings, for a query worker."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in (service.READY_FD, service.SUPERVISOR_PID)
    }
    environ["PIPELINE_STORAGE__DB_PATH"] = str(
        Path(settings.storage.db_path).absolute()
    )
    attached = [str(Path(each).absolute()) for each in settings.storage.attach]
    environ["PIPELINE_STORAGE__ATTACH"] = json.dumps(attached)
    for name, value in asdict(settings.query).items():
        environ[f"PIPELINE_QUERY__{name.upper()}"] = str(value)
    return environ


def worker_pool(settings: Settings) -> Pool:
    """The query workers."""
    return Pool(
        [sys.executable, "-m", "pipeline", "query-worker"],
        worker_environment(settings),
        settings.query.workers,
        settings.gateway.pending_queries,
        settings.query.timeout_seconds,
        clock.now_ns,
    )
