"""`pipeline search`: the entries that match, each among the entries around it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pipeline.cli import options, query, session
from pipeline.cli.session import Session


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    options.add_filter(parser)
    parser.add_argument(
        *("-C", "--context"),
        type=options.count,
        default=0,
        metavar="N",
        help="also N entries of the same source before and after each match",
    )
    query.add_page(parser)
    options.add_output(parser)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Show them; the exit code."""
    return session.run(arguments, act)


def act(asking: Session) -> None:
    """Ask for `search`."""
    params = options.filter_of(asking.arguments, text="query")
    around = asking.arguments.context
    if around:
        params["context"] = around
    query.show_pages(asking, "search", params, marked=around > 0)
