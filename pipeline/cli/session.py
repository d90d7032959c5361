"""What a command that asks does around its question: answerer, output, errors.

The exit code is 0 when the question was answered, also by nothing, 1 when it could not
be, and 2 when the question itself is wrong.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipeline.cli.asking import Asker, asker_of
from pipeline.cli.output import Output
from pipeline.cli.printable import as_json, on_one_line
from pipeline.cli.progress import Progress
from pipeline.errors import QueryError

if TYPE_CHECKING:
    from msgspec import Raw

ANSWERED, FAILED, MISUSED = 0, 1, 2

FIRST_ROWS: Final = 1_000
PAGE_ROWS: Final = 5_000
"""Entries that are asked for at once: the first soon, and then fewer questions."""

_TEXTS: Final = ("q", "query")
"""Parameters that hold the query, in which a position is shown."""


@dataclass(frozen=True, slots=True)
class Session:
    """One command while it runs."""

    asker: Asker
    out: Output
    arguments: Namespace

    def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Raw]:
        """The result, its values undecoded; a terminal is told how far long work is."""
        import msgspec

        # a pager has the terminal, and would show the progress between its lines
        with Progress(self.asker.progress, wanted=not self.out.is_paged):
            result = self.asker.ask(method, params)
        return msgspec.json.decode(result, type=dict[str, msgspec.Raw])

    def value(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The result as Python has it."""
        return self.values(self.ask(method, params))

    def values(self, reply: Mapping[str, Raw]) -> dict[str, Any]:
        """A reply as Python has it."""
        import msgspec

        return {name: msgspec.json.decode(raw) for name, raw in reply.items()}

    def json_map(self, reply: Mapping[str, Raw]) -> None:
        """A reply as the JSON that it was, on one line."""
        import msgspec

        self.json(msgspec.json.encode(reply))

    def json(self, raw: bytes) -> None:
        """A line of JSON."""
        self.out.raw(as_json(raw))

    def warn(self, text: str) -> None:
        """A line on standard error."""
        warn(self.arguments, text)

    def warn_of_damage(self, reply: Mapping[str, Raw]) -> None:
        """Say so when the answer lacks entries."""
        if (damaged := reply.get("unreadable_blocks")) is not None:
            number = bytes(damaged).decode()
            self.warn(f"{number} damaged blocks are left out with their entries")
        if (missing := reply.get("unattached_archives")) is not None:
            number = bytes(missing).decode()
            self.warn(f"{number} archives can't be read; their entries are left out")


def run(
    arguments: Namespace, act: Callable[[Session], None], *, must_exist: bool = True
) -> int:
    """Have `act` ask and show; the exit code."""
    asker = asker_of(arguments, must_exist=must_exist)
    try:
        paged = not getattr(arguments, "no_pager", True)
        with Output(arguments.colour, paged=paged) as out:
            act(Session(asker, out, arguments))
    except QueryError as error:
        return refuse(arguments, error)
    except BrokenPipeError:
        if out.was_paged:  # the pager was left: enough was seen
            return ANSWERED
        raise
    finally:
        asker.close()
    return ANSWERED


def refuse(arguments: Namespace, error: QueryError) -> int:
    """Say what is wrong with the question, and where; the exit code."""
    from pipeline.query.budget import CostError

    if isinstance(error, CostError):
        warn(arguments, str(error))
        return FAILED
    field: str | None = getattr(error, "field", None)
    text = " ".join(getattr(arguments, "query", ()))
    problem = on_one_line(error.problem)
    lines = [problem]
    if field is not None and field not in _TEXTS:
        lines = [f"{option_of(field)}: {problem}"]
    elif error.position is not None and text:
        from pipeline.query.caret import caret

        lines += ["  " + line for line in caret(text, error.position).split("\n")]
    if error.hint:
        lines.append(on_one_line(error.hint))
    warn(arguments, "\n".join(lines))
    return MISUSED


def option_of(field: str) -> str:
    """The option or argument that gives a parameter."""
    if field == "id":
        return "ID"
    singular = {"sources": "source", "levels": "level", "tags": "tag"}
    return "--" + singular.get(field, field).replace("_", "-")


def warn(arguments: Namespace, text: str) -> None:
    """A line on standard error."""
    print(f"pipeline {arguments.command}: {text}", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """A remark that only a person wants: standard error, if it is a terminal."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr, flush=True)


def pages(
    session: Session, method: str, params: Mapping[str, Any], limit: int
) -> Iterator[dict[str, Raw]]:
    """Replies page by page, up to `limit` entries (0: all), by their cursors."""
    import msgspec

    left = limit
    asked = dict(params)
    while True:
        page = PAGE_ROWS if "cursor" in asked else FIRST_ROWS
        asked["limit"] = min(left, page) if limit else page
        reply = session.ask(method, asked)
        yield reply
        left -= msgspec.json.decode(reply["returned"], type=int)
        cursor = msgspec.json.decode(reply["next_cursor"])
        if cursor is None or (limit and left <= 0):
            return
        asked["cursor"] = cursor
