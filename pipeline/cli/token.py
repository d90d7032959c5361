"""`pipeline token`: who may call the gateway."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.gateway.tokens import Token

ROLES: Final = ("write", "read", "admin")
DAY_NS: Final = 86_400 * 10**9


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "create shows the token once; only its hash is kept. A gateway notices within"
        " two seconds, and what a revoked token has open is closed."
    )
    parser.add_argument("action", choices=("create", "list", "revoke"), help="what")
    parser.add_argument("token", nargs="?", help="revoke: its id or name")
    parser.add_argument("--config", metavar="FILE", help="settings, as YAML")
    parser.add_argument(
        "--role", choices=ROLES, help="write: log alone; read: ask; admin: all"
    )
    parser.add_argument("--name", default="", help="whose it is")
    parser.add_argument(
        "--source",
        action="append",
        metavar="GLOB",
        help="only these sources, such as 'web-*'; may be given again",
    )
    parser.add_argument(
        "--hide",
        action="append",
        metavar="FIELD",
        help="read: a key of the metadata, tags or trace_id that it never sees",
    )
    parser.add_argument(
        "--expires", metavar="90d", help="days until it ends; 0d: never (90d)"
    )


def run(arguments: Namespace) -> int:
    """Create, list or revoke; raises PipelineError."""
    from pipeline.gateway import tokens
    from pipeline.settings import load

    settings = load(arguments.config, os.environ, {})
    own = settings.authentication.token_file
    path = tokens.path_of(own, settings.storage.db_path)
    if arguments.action == "create":
        _create(arguments, path)
    elif arguments.action == "list":
        _list(path)
    else:
        _revoke(arguments.token, path)
    return 0


def _create(arguments: Namespace, path: Path) -> None:
    from pipeline import clock
    from pipeline.errors import ConfigError
    from pipeline.gateway import tokens

    if arguments.role is None:
        raise ConfigError("--role", "is missing", "write, read or admin")
    now = clock.now_ns()
    days = _days(arguments.expires or "90d")
    known = tokens.read(path)
    if arguments.name and arguments.name in {token.name for token in known}:
        raise ConfigError("--name", f"{arguments.name!r} is taken", "another name")
    expires = now + days * DAY_NS if days else 0
    made, secret = _new(arguments, now, expires)
    tokens.write(path, [*known, made])
    print(secret)


def _new(arguments: Namespace, now: int, expires: int) -> tuple[Token, str]:
    from pipeline.errors import ConfigError
    from pipeline.gateway import tokens

    sources, hidden = arguments.source or [], arguments.hide or []
    if hidden and arguments.role != "read":
        raise ConfigError("--hide", f"with role {arguments.role}", "role read")
    who = arguments.name, arguments.role
    try:
        return tokens.new(*who, now, expires, sources, hidden)
    except ValueError as error:
        raise ConfigError("--source, --hide", str(error), "as `--help` says") from None


def _days(text: str) -> int:
    from pipeline.errors import ConfigError

    number = text.removesuffix("d")
    most = 36_500
    if not (number.isascii() and number.isdigit()) or int(number[:9]) > most:
        raise ConfigError("--expires", f"{text!r}", f"days such as 90d, up to {most}d")
    return int(number)


def _list(path: Path) -> None:
    from pipeline import clock
    from pipeline.cli.printable import on_one_line
    from pipeline.gateway import tokens

    now = clock.now_ns()
    for token in tokens.read(path):
        left = "never ends"
        if token.expires:
            days = (token.expires - now) / DAY_NS
            left = f"{days:.1f} days left" if days > 0 else "expired"
        shown = f"{token.id}  {token.role:5}  {left:16}  {on_one_line(token.name)}"
        for word, patterns in (("of", token.sources), ("without", token.hidden_fields)):
            if patterns:
                shown += f"  {word} {on_one_line(', '.join(patterns))}"
        print(shown)


def _revoke(wanted: str | None, path: Path) -> None:
    from pipeline.errors import ConfigError
    from pipeline.gateway import tokens

    known = tokens.read(path)
    kept = [token for token in known if wanted not in (token.id, token.name)]
    if len(kept) == len(known):
        raise ConfigError("token", f"{wanted!r} is none", "an id of `token list`")
    tokens.write(path, kept)
    print(f"revoked: {wanted}")
