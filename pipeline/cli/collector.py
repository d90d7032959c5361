"""`pipeline collector`: without files to follow it waits until it is told to stop.

It stays up because honcho ends all processes when one ends.
"""

from __future__ import annotations

from argparse import Namespace

from pipeline import service
from pipeline.cli.process import add_arguments, start

__all__ = ["add_arguments", "run"]


def run(arguments: Namespace) -> int:
    """Wait until asked to stop."""
    start(arguments)
    stop = service.stop_on_signals()
    service.announce_ready("collector", "no files to follow")
    stop.wait()
    return 0
