"""`pipeline keys`: who may use the ingester's sockets."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.keys import Allowed
    from pipeline.settings import Settings

ACTIONS: Final = ("create", "allow", "list", "revoke", "server")
ROLES: Final = ("write", "read")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "create writes a key file, for the machine that sends, and allows its public"
        " key; allow does so for a key that was made elsewhere; server shows the"
        " ingester's public key. The ingester notices within a second."
    )
    parser.add_argument("action", choices=ACTIONS, help="what")
    parser.add_argument("key", nargs="?", help="allow: a public key; revoke: a name")
    parser.add_argument("--config", metavar="FILE", help="settings, as YAML")
    parser.add_argument("--name", default="", help="whose it is")
    parser.add_argument(
        "--role",
        choices=ROLES,
        default="write",
        help="write: send entries; read: also follow what is committed (write)",
    )
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="GLOB",
        help="it may log under these sources alone; may be repeated",
    )
    parser.add_argument("--out", metavar="FILE", help="create: the key file (NAME.key)")


def run(arguments: Namespace) -> int:
    """Do it; raises PipelineError."""
    from pipeline import keys
    from pipeline.settings import load

    settings = load(arguments.config, os.environ, {})
    path = keys.allow_path(settings.curve.allow_file, settings.storage.db_path)
    if arguments.action == "create":
        _create(arguments, settings, path)
    elif arguments.action == "allow":
        _add(path, _allowed(arguments, arguments.key))
    elif arguments.action == "list":
        for each in keys.read_allowed(path):
            _show(each)
    elif arguments.action == "revoke":
        _revoke(arguments.key, path)
    else:
        print(_server(settings))
    return 0


def _create(arguments: Namespace, settings: Settings, path: Path) -> None:
    from pipeline import keys, transport
    from pipeline.errors import ConfigError

    public, secret = transport.new_key_pair()
    made = _allowed(arguments, public)
    out = Path(arguments.out or f"{arguments.name}.key")
    key = keys.Key(arguments.name, public, secret, _server(settings))
    if out.exists():
        raise ConfigError("--out", f"{out} exists", "a new file")
    _add(path, made)
    keys.write_key(out, key)
    print(out)


def _server(settings: Settings) -> str:
    """The ingester's public key; made where there is none yet."""
    from pipeline import keys, transport

    own = keys.key_path(settings.curve.key_file, settings.storage.db_path)
    return keys.server_key(own, transport.new_key_pair).server


def _allowed(arguments: Namespace, key: str | None) -> Allowed:
    from pipeline import keys
    from pipeline.errors import ConfigError

    if not arguments.name:
        raise ConfigError("--name", "is missing", "whose key it is")
    if not keys.is_key(key):
        raise ConfigError("key", f"{key!r}", "a public key: 40 characters of Z85")
    assert key is not None
    return keys.Allowed(arguments.name, key, arguments.role, tuple(arguments.source))


def _add(path: Path, made: Allowed) -> None:
    from pipeline import keys
    from pipeline.errors import ConfigError

    with keys.changing(path):
        known = keys.read_allowed(path)
        if made.name in {each.name for each in known}:
            raise ConfigError("--name", f"{made.name!r} is taken", "another name")
        if same := [each.name for each in known if each.key == made.key]:
            raise ConfigError("key", f"is that of {same[0]!r} already", "another key")
        keys.write_allowed(path, [*known, made])


def _show(each: Allowed) -> None:
    from pipeline.cli.printable import on_one_line

    sources = ", ".join(each.sources) or "every source"
    print(on_one_line(f"{each.key}  {each.role:5}  {each.name}  {sources}"))


def _revoke(name: str | None, path: Path) -> None:
    from pipeline import keys
    from pipeline.errors import ConfigError

    with keys.changing(path):
        known = keys.read_allowed(path)
        kept = [each for each in known if name not in (each.name, each.key)]
        if len(kept) == len(known):
            raise ConfigError("key", f"{name!r} is none", "a name of `keys list`")
        keys.write_allowed(path, kept)
    print(f"revoked: {name}")
