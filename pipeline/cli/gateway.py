"""`pipeline gateway`."""

from __future__ import annotations

from argparse import Namespace

from pipeline.cli.process import add_arguments, configuration_of, start

__all__ = ["add_arguments", "run"]


def run(arguments: Namespace) -> int:
    """Serve until asked to stop."""
    settings = start(arguments)
    from pipeline.gateway import server

    server.run(settings, configuration_of(arguments))
    return 0
