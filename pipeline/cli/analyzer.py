"""`pipeline analyzer`."""

from __future__ import annotations

from argparse import Namespace
from functools import partial

from pipeline.cli.process import add_arguments, settings_of, start

__all__ = ["add_arguments", "run"]


def run(arguments: Namespace) -> int:
    """Serve until asked to stop."""
    settings = start(arguments)
    from pipeline.analyzer import process

    process.run(settings, partial(settings_of, arguments))
    return 0
