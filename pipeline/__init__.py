"""Recursive Log Pipeline: the names that services import.

Each is loaded when first used, so that a service that only logs loads msgpack, pyzmq
and zstandard and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.collectors.collector import Collector
    from pipeline.collectors.handler import PipelineHandler
    from pipeline.level import Level

__all__ = ["Collector", "Level", "PipelineHandler"]

_HOMES = {
    "Collector": "pipeline.collectors.collector",
    "Level": "pipeline.level",
    "PipelineHandler": "pipeline.collectors.handler",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
