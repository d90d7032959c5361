"""What `get_metrics` replies, as types."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Durations(Struct, frozen=True):
    """How long calls took since the gateway started, in milliseconds."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float


class ResponseTime(Durations, frozen=True, kw_only=True):
    """All calls, and by method."""

    by_method: dict[str, Durations]


class StorageSize(Struct, frozen=True):
    """What is stored; of a block each source has its entries' share."""

    bytes: int
    entries: int
    blocks: int
    by_source: Annotated[
        dict[str, dict[str, int]], Meta(description="The largest 200; 30 s old.")
    ]


class ErrorRate(Struct, frozen=True):
    """ERROR and FATAL of the last minute."""

    per_second: float
    share: Annotated[float, Meta(ge=0, le=1, description="Among all entries.")]


class ProcessMemory(Struct, frozen=True):
    """The machine's memory, and what the processes have of it."""

    machine: Annotated[
        dict[str, int], Meta(description="`total_bytes`, `available_bytes`; on Linux.")
    ]
    pipeline_bytes: int
    by_process: dict[str, int]


class Lag(Struct, frozen=True):
    """From an entry's log call until a question finds it, as the canary measures it."""

    seconds: float | None
    measured_seconds_ago: float | None
    sent: int
    lost: int


class MetricsResult(Struct, frozen=True):
    """The numbers that tell most; `GET /metrics` has all of them."""

    logIngestionRate: Annotated[  # noqa: N815 - the platform's name
        float, Meta(description="Entries stored a second, over the last minute.")
    ]
    queryResponseTime: ResponseTime  # noqa: N815
    storageSize: StorageSize  # noqa: N815
    errorRate: ErrorRate  # noqa: N815
    systemMemory: ProcessMemory  # noqa: N815
    pythonProcessHealth: Annotated[  # noqa: N815
        dict[str, bool],
        Meta(description="Whether each process answers; false 3 s after it stopped."),
    ]
    lag: Lag
    waiting: Annotated[
        dict[str, int],
        Meta(description="Entries and questions that wait, by the queue."),
    ]
    refused: Annotated[
        dict[str, int],
        Meta(description="What was refused, dropped or lost since the start; not 0."),
    ]
