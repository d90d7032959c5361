"""`pipeline compaction-worker`: of an ingester, on standard input and output."""

from __future__ import annotations

import os
from argparse import Namespace

from pipeline.cli.process import add_arguments, start

__all__ = ["add_arguments", "run"]


def run(arguments: Namespace) -> int:
    """Compact until standard input ends; the exit code."""
    settings = start(arguments, parent=os.getppid())
    from pipeline.ingester.compaction import worker

    return worker.run(settings)
