"""`pipeline up`: all processes on one terminal, with one line that says where to look.

Small on purpose: it only loads the standard library once the settings are read.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

from pipeline.analyzer.channels.config import read_channels
from pipeline.cli import process, procfile
from pipeline.cli.child import Child
from pipeline.cli.heartbeat import FOR_ONE, Heartbeat
from pipeline.cli.supervisor import Printer, Supervisor
from pipeline.settings import Settings

COLOURS: Final = (36, 33, 32, 35, 34, 31)
EXAMPLE: Final = (
    '{"jsonrpc":"2.0","method":"log",'
    '"params":{"source":"test","level":"INFO","message":"Hello"},"id":1}'
)


def add_arguments(parser: ArgumentParser) -> None:
    """The settings' options, and which processes."""
    process.add_arguments(parser)
    parser.add_argument("--procfile", metavar="FILE", help="which processes, in order")
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=10.0,
        metavar="S",
        help="how long each may take to stop before it is killed (default 10)",
    )
    parser.add_argument(
        "--stop-at-eof",
        action="store_true",
        help="stop when standard input ends, as it does with the program that holds it",
    )


def run(arguments: Namespace) -> int:
    """Supervise until asked to stop."""
    settings = process.settings_of(arguments)
    # else the analyzer would refuse them again at each restart
    if settings.alerts.enabled:
        read_channels(settings.alerts.channels, os.environ)
        if settings.alerts.rules or settings.alerts.detectors.plugins:
            # it takes what this process, which stays small, doesn't load
            words = [sys.executable, "-m", "pipeline", "analyzer", "--check"]
            done = subprocess.run([*words, *process.flags_of(arguments)], check=False)  # noqa: S603 - our own
            if done.returncode:
                return done.returncode
    programs = procfile.programs(arguments.procfile)
    if not settings.server.auto_start:
        programs = [p for p in programs if p.words != (*procfile.OWN, "gateway")]
    flags = process.flags_of(arguments)
    show = printer([program.name for program in programs])

    def on_ready() -> None:
        for line in where_to_look(settings):
            show("up", line)

    return Supervisor(
        [Child(program, flags) for program in programs],
        {name: os.environ[name] for name in os.environ.keys() - FOR_ONE},
        show,
        on_ready=on_ready,
        grace_seconds=arguments.grace_seconds,
        heartbeat=Heartbeat(os.environ, gateway_of(settings)),
        until=sys.stdin.fileno() if arguments.stop_at_eof else None,
    ).run()


def gateway_of(settings: Settings) -> tuple[str, int] | None:
    """Where this machine reaches the gateway; None when it is not started."""
    server = settings.server
    if not server.auto_start or not server.port:
        return None
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
    return everywhere.get(server.host, server.host), server.port


def where_to_look(settings: Settings) -> list[str]:
    """The line that says all is ready, and one to try."""
    parts = [
        f"ingest {settings.ingest.endpoint}",
        f"publish {settings.publish.endpoint}",
        f"database {Path(settings.storage.db_path).resolve()}",
    ]
    if not settings.server.auto_start:
        return ["ready: " + ", ".join(parts)]
    host = settings.server.host
    host = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::1", "::") else host  # noqa: S104 - compared, not bound
    url = f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"
    example = f"try: curl -X POST {url}/rpc -H 'Content-Type: application/json'"
    return [f"ready: {url}, " + ", ".join(parts), f"{example} -d '{EXAMPLE}'"]


def printer(names: list[str]) -> Printer:
    """Prints lines behind the name of their process, coloured on a terminal."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    width = max(map(len, ["up", *names]))
    prefixes = {name: f"{name:{width}} | " for name in ["up", *names]}
    if coloured:
        for position, name in enumerate(prefixes):
            colour = COLOURS[position % len(COLOURS)]
            prefixes[name] = f"\033[{colour}m{prefixes[name]}\033[0m"

    def show(name: str, line: str) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone; a signal will tell
            print(prefixes[name] + line, flush=True)

    return show
