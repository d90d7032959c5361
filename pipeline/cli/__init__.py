"""The command line: finds the command and loads only what that one needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol

from pipeline.errors import ConfigError, PipelineError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

COMMANDS: Final = {
    "up": "start all processes, and restart the ones that die (the default)",
    "send": "send the lines of standard input",
    "query": "show the entries that match, or a table of them",
    "search": "show the entries that match, among those around them",
    "tail": "show the last entries that match, and each new one",
    "stats": "count entries by source, level and time",
    "trace": "show what all sources did for one trace id",
    "patterns": "show which kinds of messages there are",
    "describe": "show what is stored: span, volume, sources, fields",
    "get": "show one entry by its id",
    "context": "show the entries before and after one",
    "explain": "show how a query is understood, what it takes, why it is empty",
    "export": "write all entries that match as NDJSON or CSV",
    "delete": "count the entries that match, and delete them once agreed to",
    "alerts": "list alerts, acknowledge and silence them",
    "ledger": "say what became of each producer's entries",
    "backup": "copy the store into a folder while it is written",
    "archive": "move what is old out of the store, into files",
    "restore": "make a store of a backup, where none is",
    "verify": "check a store or its backups: checksums, counts, chain",
    "doctor": "say whether all is well, and what to do where it is not",
    "token": "create, list and revoke tokens for the gateway",
    "keys": "create, list and revoke keys for the ingester's sockets",
    "config": "check the configuration, and show what holds and why",
    "ingester": "take entries in and store them",
    "analyzer": "watch what is stored and raise alerts",
    "mcp": "give language models their tools, by MCP",
    "gateway": "answer JSON-RPC and HTTP",
    "collect": "follow log files, and run collectors of your own",
    "compaction-worker": "build full blocks (started by the ingester)",
    "query-worker": "answer the gateway's questions (started by the gateway)",
}
"""Every command: module `pipeline.cli.<name>` has its arguments and its `run`."""

FAILED, MISUSED, INTERRUPTED = 1, 2, 130
"""Exit codes: it went wrong; wrong arguments or settings; Ctrl-C."""


class Command(Protocol):
    """What the module of a command offers."""

    @property
    def add_arguments(self) -> Callable[[ArgumentParser], None]:
        """Declare the options."""

    @property
    def run(self) -> Callable[[Namespace], int]:
        """Do it; the exit code."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments` (default: the command line) name."""
    given = sys.argv[1:] if arguments is None else arguments
    name = given[0] if given else "up"
    if name in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if name in ("-V", "--version"):
        print(f"pipeline {_version()}")
        return 0
    if name.startswith("-"):
        name, given = "up", ["up", *given]
    if name not in COMMANDS:
        return _fail("pipeline", f"{name!r} is no command{_nearest(name)}", MISUSED)
    return _run(name, given[1:])


def _run(name: str, given: list[str]) -> int:
    from argparse import ArgumentParser

    command: Command = import_module(f"pipeline.cli.{name.replace('-', '_')}")
    parser = ArgumentParser(f"pipeline {name}", description=COMMANDS[name])
    command.add_arguments(parser)
    parser.set_defaults(command=name)
    try:
        return command.run(_parse(parser, given))
    except ConfigError as error:
        return _fail(f"pipeline {name}", str(error), MISUSED)
    except PipelineError as error:
        return _fail(f"pipeline {name}", str(error), FAILED)
    except BrokenPipeError:  # the reader of our output went away: `... | head`
        return _end_as_others_do()
    except KeyboardInterrupt:
        return INTERRUPTED


def _parse(parser: ArgumentParser, given: list[str]) -> Namespace:
    """The arguments; words of a query that stand behind `--` are no options."""
    if "--" not in given:
        return parser.parse_intermixed_args(given)
    end = given.index("--")
    arguments = parser.parse_intermixed_args(given[:end])
    words = getattr(arguments, "query", None)
    if not isinstance(words, list):  # argparse itself knows `--`, but not for lists
        return parser.parse_args(given)
    words.extend(given[end + 1 :])
    return arguments


def _end_as_others_do() -> int:
    """End by SIGPIPE, in silence, as a program does that knows nothing of it."""
    import signal

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    return FAILED


def _fail(who: str, what: str, code: int) -> int:
    print(f"{who}: {what}", file=sys.stderr)
    return code


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, what in COMMANDS.items()]
    usage = "usage: pipeline [COMMAND] [--config FILE] [--host HOST] [--port PORT] ..."
    more = "`pipeline COMMAND --help` lists a command's options."
    return "\n".join([usage, "", *lines, "", more])


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    return f"; did you mean {near[0]!r}?" if near else "; try `pipeline --help`"


def _version() -> str:
    from importlib.metadata import version

    return version("recursive-log-pipeline")
