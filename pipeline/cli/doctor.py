"""`pipeline doctor`: whether all is well, and what to do where it is not."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.cli.verdicts import Verdict

WELL, WRONG = 0, 1
_MARKS: Final = {"ok": "ok   ", "look": "look ", "wrong": "WRONG"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    from pipeline.cli import process

    parser.epilog = (
        "Ends with 0 when nothing is wrong, else with 1. Works also while nothing runs."
    )
    process.add_arguments(parser)
    parser.add_argument(
        "--url", metavar="URL", help="of the gateway (default: as configured)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: Namespace) -> int:
    """Print the verdicts; 1 when one is wrong."""
    from pipeline import clock
    from pipeline.cli.config import deeper
    from pipeline.cli.facts import gather
    from pipeline.cli.verdicts import verdicts
    from pipeline.settings import survey

    flags = {"server.host": arguments.host, "server.port": arguments.port}
    found = survey(arguments.config, os.environ, flags)
    errors = found.errors or list(deeper(found.settings))
    settings = found.settings
    host = settings.server.host.strip("[]")
    host = f"[{host}]" if ":" in host else host
    url = arguments.url or f"http://{host}:{settings.server.port}"
    facts = gather(settings, list(map(str, errors)), url, clock.now_ns() / 1e9)
    made = verdicts(facts)
    if arguments.json:
        import json

        print(json.dumps([verdict._asdict() for verdict in made], ensure_ascii=False))
    else:
        print("\n".join(map(_line, made)))
    return WRONG if any(each.judgement == "wrong" for each in made) else WELL


def _line(verdict: Verdict) -> str:
    line = f"{_MARKS[verdict.judgement]} {verdict.subject}: {verdict.finding}"
    wants_help = verdict.judgement != "ok" and verdict.remedy
    return f"{line}\n      -> {verdict.remedy}" if wants_help else line
