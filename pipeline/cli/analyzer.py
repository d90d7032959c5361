"""`pipeline analyzer`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial

from pipeline.cli import process

__all__ = ["add_arguments", "run"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    process.add_arguments(parser)
    parser.add_argument(
        "--check",
        action="store_true",
        help="only look at the configuration: rules, detectors, channels, silences",
    )


def run(arguments: Namespace) -> int:
    """Serve until asked to stop; raises ConfigError."""
    load = partial(process.settings_of, arguments)
    settings = load() if arguments.check else process.start(arguments)
    from pipeline.analyzer import process as analyzer

    if arguments.check:
        analyzer.check(settings)
    else:
        analyzer.run(settings, load)
    return 0
