"""`pipeline export`: all entries that match, as a file, in constant memory."""

from __future__ import annotations

import http.client
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.cli import options, session
from pipeline.cli.printable import as_json, on_lines
from pipeline.cli.progress import Progress
from pipeline.cli.remote import Remote
from pipeline.cli.session import Session
from pipeline.cli.whole_file import WholeFile
from pipeline.errors import PipelineError

PARQUET: Final = "parquet"
FORMATS: Final = ("ndjson", "csv", PARQUET)
READ_BYTES: Final = 1 << 18


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    options.add_filter(parser)
    parser.add_argument(
        "--format", choices=FORMATS, help="default: as --output ends, else ndjson"
    )
    parser.add_argument(
        *("-o", "--output"),
        metavar="FILE",
        type=Path,
        help="written as FILE.part and renamed when it is complete",
    )
    parser.add_argument(
        *("-n", "--limit"),
        type=options.count,
        default=0,
        metavar="N",
        help="entries at most (default 0: all)",
    )
    options.add_order(parser, "asc")
    options.add_fields(parser)
    parser.add_argument(
        "--spreadsheet",
        action="store_true",
        help="of CSV: put ' before what a spreadsheet would take for a formula",
    )
    options.add_place(parser)
    parser.set_defaults(colour="never")


def run(arguments: Namespace) -> int:
    """Write them; the exit code."""
    return session.run(arguments, act)


@dataclass(slots=True)
class _Written:
    rows: int = 0
    size: int = 0
    damaged: int = 0
    unattached: int = 0

    def __str__(self) -> str:
        rows = f"{self.rows:,} entries, " if self.rows else ""
        return f"· {rows}{self.size / 1e6:,.1f} MB written"


def act(asking: Session) -> None:
    """Ask for `export`, page by page."""
    arguments = asking.arguments
    params = params_of(arguments)
    if is_parquet := params["format"] == PARQUET:
        params["format"] = "ndjson"
    written = _Written()
    pieces = (
        _streamed(asking.asker, params)
        if isinstance(asking.asker, Remote)
        else _paged(asking, params, written)
    )
    shows = arguments.output is None and asking.out.is_terminal
    if is_parquet and shows:
        raise PipelineError("a terminal shows no Parquet; name a file by --output")
    with Progress(lambda: str(written), wanted=not shows):
        if is_parquet:
            _write_parquet(asking, pieces, written)
        elif arguments.output is None:
            safe = _safe(params["format"], is_terminal=shows)
            _copy(map(safe, pieces), asking.out.write, written)
        else:
            with WholeFile(arguments.output) as file:
                _copy(pieces, file.write, written)
    if written.damaged:
        asking.warn(f"{written.damaged} damaged blocks are left out with their entries")
    if written.unattached:
        text = f"{written.unattached} archives can't be read"
        asking.warn(f"{text}; their entries are left out")


def _write_parquet(asking: Session, pieces: Iterator[bytes], written: _Written) -> None:
    from pipeline.cli.parquet import write_parquet

    def write_to(write: Callable[[bytes], None]) -> None:
        def count(data: bytes) -> None:
            write(data)
            written.size += len(data)

        write_parquet(pieces, count, asking.arguments.fields)

    if asking.arguments.output is None:
        write_to(asking.out.write)
        return
    with WholeFile(asking.arguments.output) as file:
        write_to(file.write)


def params_of(arguments: Namespace) -> dict[str, Any]:
    """The parameters of `export`."""
    params = options.filter_of(arguments)
    params["order"] = arguments.order
    params["format"] = arguments.format or format_of(arguments.output)
    for name in ("limit", "fields", "spreadsheet"):
        if value := getattr(arguments, name):
            params[name] = value
    return params


def format_of(path: Path | None) -> str:
    """The format that a file's name promises."""
    ending = "" if path is None else path.suffix.lower().removeprefix(".")
    return ending if ending in FORMATS else "ndjson"


def _paged(
    asking: Session, params: dict[str, Any], written: _Written
) -> Iterator[bytes]:
    """The text of the engine's pages; each is a question with its own time."""
    import msgspec

    asked = dict(params)
    while True:
        part = msgspec.json.decode(asking.asker.ask("export", asked))
        written.rows += part["rows"]
        written.damaged = max(written.damaged, part.get("unreadable_blocks", 0))
        written.unattached = part.get("unattached_archives", 0)
        yield part["text"].encode()
        if "limit" in params:
            asked["limit"] = params["limit"] - written.rows
        if part["next_cursor"] is None or asked.get("limit") == 0:
            return
        asked["cursor"] = part["next_cursor"]


def _streamed(remote: Remote, params: dict[str, Any]) -> Iterator[bytes]:
    """What a gateway sends, as whole lines; an end that comes too early is an error."""
    rest = b""
    with closing(remote.stream("/export", body=json.dumps(params).encode())) as sent:
        try:
            while data := sent.read1(READ_BYTES):
                head, newline, tail = data.rpartition(b"\n")
                if newline:
                    yield rest + head + newline
                    rest = tail
                else:
                    rest += data
        except (OSError, http.client.HTTPException) as error:
            problem = f"{remote.url} ended the export early: {error}"
            raise PipelineError(problem) from None
    if rest:
        yield rest


def _safe(format_: str, *, is_terminal: bool) -> Callable[[bytes], bytes]:
    """What makes a piece harmless; CSV knows no escapes, so files keep what it is."""
    if format_ == "ndjson":
        return as_json
    if is_terminal:
        return lambda piece: on_lines(piece.decode("utf-8", "replace")).encode()
    return bytes


def _copy(
    pieces: Iterator[bytes], write: Callable[[bytes], None], written: _Written
) -> None:
    for piece in pieces:
        write(piece)
        written.size += len(piece)
