"""Options that the commands share: whom to ask, which entries, and how to show them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any, Final

PAGE_MOST: Final = 10_000
"""Entries that one reply can have."""

EXIT_CODES: Final = (
    "Ends with 0 when the question was answered, also by nothing; 1 when it could not"
    " be; 2 when the question is wrong. Put a query into single quotes:"
    " pipeline query 'timeout -level:debug | top path'."
)


def add_place(parser: ArgumentParser) -> None:
    """Whom to ask."""
    parser.epilog = EXIT_CODES
    group = parser.add_argument_group("whom to ask")
    group.add_argument("--config", metavar="FILE", help="settings, as YAML")
    group.add_argument("--db", metavar="FILE", help="instead of storage.db_path")
    group.add_argument(
        "--attach",
        action="append",
        default=[],
        metavar="FILE",
        help="an archive of this store, to be asked with it; may be repeated",
    )
    group.add_argument(
        "--url",
        help="a gateway, such as http://127.0.0.1:8888; without it the database is read"
        " by this process, whether the pipeline runs or not",
    )
    group.add_argument(
        "--timeout",
        type=seconds,
        metavar="S",
        help="give up after that (query.timeout_seconds)",
    )


def add_output(parser: ArgumentParser, *, paged: bool = True) -> None:
    """How to show the answer."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="JSON, one entry a line")
    group.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", dest="colour"
    )
    if paged:
        group.add_argument(
            "--no-pager", action="store_true", help="never start $PAGER (less)"
        )


def add_filter(parser: ArgumentParser, *, times: bool = True) -> None:
    """Which entries."""
    parser.add_argument("query", nargs="*", metavar="QUERY", help="what to look for")
    group = parser.add_argument_group("which entries")
    repeated: dict[str, Any] = {"action": "append", "default": []}
    group.add_argument("--source", **repeated, help="of this source; may be repeated")
    group.add_argument("--level", **repeated, help="of this level; may be repeated")
    group.add_argument("--min-level", metavar="LEVEL", help="of this level or above")
    group.add_argument("--tag", **repeated, help="with this tag; all if repeated")
    group.add_argument("--trace-id", metavar="ID", help="of this trace")
    if times:
        group.add_argument(
            "--since", metavar="TIME", help="from then on: 5m, 1h, now-2d or ISO 8601"
        )
        group.add_argument("--until", metavar="TIME", help="before then")
        group.add_argument(
            "--timerange", metavar="AGE", help="the last 5m, 1h, 2d; or FROM/TO"
        )


def add_fields(parser: ArgumentParser) -> None:
    """Which fields of an entry."""
    parser.add_argument(
        "--fields",
        type=_names,
        default=[],
        metavar="A,B",
        help="only these: id, timestamp, source, level, message, metadata, tags,"
        " trace_id, metadata.KEY",
    )


def add_order(parser: ArgumentParser, default: str = "desc") -> None:
    """Which end comes first."""
    parser.add_argument(
        "--order",
        choices=("asc", "desc"),
        default=default,
        help=f"oldest or newest first (default {default})",
    )


def text_of(arguments: Namespace) -> str:
    """The query as it was written: the words of the command line."""
    return " ".join(arguments.query)


def filter_of(arguments: Namespace, *, text: str = "q") -> dict[str, Any]:
    """Parameters of the filter; what was not given is left out."""
    given = vars(arguments)
    levels = [name for each in given["level"] for name in each.split(",")]
    params: dict[str, Any] = {
        text: text_of(arguments),
        "sources": given["source"],
        "levels": levels,
        "tags": given["tag"],
    }
    for name in ("min_level", "trace_id", "since", "until", "timerange"):
        params[name] = given.get(name)
    return {
        name: value for name, value in params.items() if value not in (None, [], "")
    }


def without_timerange(params: dict[str, Any]) -> dict[str, Any]:
    """The same for a method that knows only `since` and `until`."""
    params = dict(params)
    timerange = params.pop("timerange", None)
    if timerange is None:
        return params
    if "since" in params or "until" in params:
        return params | {"timerange": timerange}  # the engine says what is wrong
    first, _, last = str(timerange).partition("/")
    times = {"since": first.strip(), "until": last.strip()}
    return params | {name: time for name, time in times.items() if time}


def count(text: str) -> int:
    """A number of entries for argparse; 0 means all."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def positive(text: str) -> int:
    """A number of rows for argparse."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def seconds(text: str) -> float:
    """A length of time for argparse."""
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(text)
    return seconds
