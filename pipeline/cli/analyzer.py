"""`pipeline analyzer`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

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
    is_check = arguments.check
    settings = (process.settings_of if is_check else process.start)(arguments)
    from pipeline.analyzer import process as analyzer

    if is_check:
        analyzer.check(settings)
    else:
        analyzer.run(settings, process.configuration_of(arguments))
    return 0
