"""`pipeline config`: whether the configuration is right, and what holds."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pipeline.errors import ConfigError
    from pipeline.settings import Settings

WRONG: Final = 2


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    from pipeline.cli import process

    parser.epilog = (
        "check ends with 0 when everything is right, else with 2 and a line for each"
        " error. show writes a file that can be loaded again; secrets are ***."
    )
    parser.add_argument("action", choices=("check", "show"), help="what to do")
    process.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="show: as JSON")
    parser.add_argument(
        "--given", action="store_true", help="show: without what has its default"
    )


def run(arguments: Namespace) -> int:
    """Check or show; raises ConfigError."""
    from pipeline.settings import survey

    flags = {"server.host": arguments.host, "server.port": arguments.port}
    found = survey(arguments.config, os.environ, flags)
    errors = found.errors or list(deeper(found.settings))
    for error in errors:
        print(f"pipeline config: {error}", file=sys.stderr)
    if errors:
        return WRONG
    if arguments.action == "check":
        count = len(found.origins)
        print(f"right: {count} settings are given, the others have their default")
        return 0
    from pipeline.settings.shown import effective, written

    values = effective(found, every=not arguments.given)
    if arguments.json:
        import json

        parts = {k: {"value": v, "origin": o} for k, (v, o) in values.items()}
        print(json.dumps(parts, ensure_ascii=False))
    else:
        print(written(values), end="")
    return 0


def deeper(settings: Settings) -> Iterator[ConfigError]:
    """What only those know who use them: rules, queries, channels."""
    from pipeline.analyzer import process as analyzer
    from pipeline.cli import collect
    from pipeline.errors import ConfigError
    from pipeline.ingester.retention import rules

    def collected(settings: Settings) -> None:
        collect.check(settings.collect)

    for check in (rules.check, analyzer.check, collected, attachable):
        try:
            check(settings)
        except ConfigError as error:
            yield error


def attachable(settings: Settings) -> None:
    """Raise ConfigError when an archive can't be read beside the store."""
    from contextlib import closing
    from pathlib import Path

    from pipeline.errors import ConfigError, StoreError
    from pipeline.store.attached import attach
    from pipeline.store.database import open_reader

    path = Path(settings.storage.db_path)
    if not settings.storage.attach or not path.exists():
        return
    try:
        with closing(open_reader(path)) as connection:
            attach(connection, [Path(each) for each in settings.storage.attach])
    except StoreError as error:
        expected = "archives of this store that can be read"
        raise ConfigError("storage.attach", str(error), expected) from None
