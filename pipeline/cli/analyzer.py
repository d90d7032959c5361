"""`pipeline analyzer`."""

from __future__ import annotations

from argparse import Namespace

from pipeline.cli.process import add_arguments, start

__all__ = ["add_arguments", "run"]


def run(arguments: Namespace) -> int:
    """Serve until asked to stop."""
    settings = start(arguments)
    from pipeline.analyzer import analyzer

    analyzer.run(settings)
    return 0
