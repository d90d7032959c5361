"""`pipeline tail`: the last entries that match, and then each new one as it is stored.

The database is asked five times a second for what was committed since; it may not exist
yet, be salvaged, or have no ingester for a while. A gateway sends what is new.
"""

from __future__ import annotations

import select
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from pipeline.cli import options, session
from pipeline.cli.asking import settings_of
from pipeline.cli.following import Event, Mark, events
from pipeline.cli.remote import Remote
from pipeline.cli.session import Session
from pipeline.cli.showing import Entries
from pipeline.errors import ConfigError, PipelineError, QueryError

EVERY_SECONDS: Final = 0.2
RECONNECT_SECONDS: Final = 1.0
LAST: Final = 10
LIMIT: Final = 10_000
"""Entries between two looks; what is beyond is counted as missed."""

FORMAT: Final = Path(__file__).with_name("lnav") / "recursive_pipeline.json"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    options.add_filter(parser, times=False)
    parser.add_argument(
        *("-n", "--lines"),
        type=options.count,
        default=LAST,
        metavar="N",
        help=f"begin with the last N that match (default {LAST})",
    )
    options.add_fields(parser)
    parser.add_argument(
        "--lnav-format",
        action="store_true",
        help="print the format file with which lnav reads `pipeline tail --json`",
    )
    options.add_output(parser, paged=False)
    options.add_place(parser)


def run(arguments: Namespace) -> int:
    """Follow until interrupted; the exit code."""
    if arguments.lnav_format:
        print(FORMAT.read_text(), end="")
        return 0
    return session.run(arguments, act, must_exist=False)


def act(asking: Session) -> None:
    """Show the last entries, then what comes."""
    tail = _Tail(asking)
    if isinstance(asking.asker, Remote):
        _follow_gateway(tail, asking.asker)
    path = Path(settings_of(asking.arguments).storage.db_path)
    if not path.exists():
        session.note(f"waiting for {path}")
    _follow_database(tail)


class _Tail:
    """What both ways of following share: the filter, and showing each entry once."""

    def __init__(self, asking: Session) -> None:
        import msgspec

        arguments = asking.arguments
        self.asking = asking
        self.params = options.filter_of(arguments)
        self._hides_id = bool(arguments.fields) and "id" not in arguments.fields
        if arguments.fields:
            self.params["fields"] = [*arguments.fields, "id"]
        self._entries = Entries(
            asking.out, json=arguments.json, fields=arguments.fields
        )
        self._shown: frozenset[str] = frozenset()
        self._problem = ""
        self._read = msgspec.json.decode
        self._write = msgspec.json.encode

    def show_last(self) -> None:
        """The newest entries, oldest first."""
        if number := self.asking.arguments.lines:
            asked = self.params | {"limit": min(number, LIMIT), "count": "none"}
            logs = self.asking.value("query", asked)["logs"]
            shown = frozenset(log["id"] for log in logs)
            self.show(logs[::-1])
            self._shown = shown

    def show(self, logs: Sequence[dict[str, Any]]) -> None:
        """Entries that were not among the last ones."""
        logs = [log for log in logs if log["id"] not in self._shown]
        if self._hides_id:
            for log in logs:
                del log["id"]
        if self.asking.arguments.json:
            for log in logs:
                self.asking.json(self._write(log))
        else:
            self._entries.show_values(logs)
        self.asking.out.flush()

    def forget_last(self) -> None:
        """What was committed by then can't come again."""
        self._shown = frozenset()

    def missed(self, count: int) -> None:
        """Say that entries came too fast."""
        if count:
            self.asking.warn(f"{count:,} entries came too fast to be shown")

    def works(self, error: PipelineError | None = None) -> None:
        """Say once what is wrong, and once that it is over."""
        problem = "" if error is None else str(error)
        if problem != self._problem:
            self.asking.warn(problem or "goes on")
        self._problem = problem

    def read(self, text: bytes) -> Any:
        """A value of JSON."""
        return self._read(text)


def _follow_database(tail: _Tail) -> None:
    mark = Mark()
    while True:
        try:
            _look(tail, mark)
        except QueryError:
            raise
        except PipelineError as error:  # replaced, or not readable for a moment
            tail.works(error)
        else:
            tail.works()
        _wait(EVERY_SECONDS)


def _look(tail: _Tail, mark: Mark) -> None:
    if mark.after is None:
        found = tail.asking.value("tail", tail.params | {"limit": 1})
        tail.show_last()
        mark.moved(found["last_block"])
        return
    asked = tail.params | {"after_block": mark.after, "limit": LIMIT}
    found = tail.asking.value("tail", asked)
    tail.show(found["logs"])
    tail.missed(found["missed"])
    tail.forget_last()
    if mark.moved(found["last_block"]):
        tail.asking.warn("the database is another one; it is shown from its beginning")


def _wait(seconds: float) -> None:
    """Pause; BrokenPipeError as soon as nobody reads standard output any more."""
    poller = select.poll()
    poller.register(sys.stdout.fileno(), 0)  # no events but errors
    if poller.poll(seconds * 1000):
        raise BrokenPipeError


def _follow_gateway(tail: _Tail, remote: Remote) -> None:
    after: int | None = None
    while True:
        try:
            after = _read_stream(tail, remote, after)
        except QueryError:
            raise
        except PipelineError as error:
            if after is None:
                raise
            tail.works(error)
        _wait(RECONNECT_SECONDS)


def _read_stream(tail: _Tail, remote: Remote, after: int | None) -> int | None:
    """Show what a connection brings until it ends; the last commit that it brought."""
    from queue import Empty, Queue
    from threading import Thread

    waiting: Queue[Event | None] = Queue(LIMIT)
    response = remote.stream("/tail", _query_string(tail.params, after))

    def read() -> None:
        # a connection may end within an event
        with suppress(OSError, ValueError), closing(response):
            for event in events(response):
                waiting.put(event)
        waiting.put(None)

    Thread(target=read, name="events", daemon=True).start()
    tail.works()
    is_first = after is None
    while True:
        try:
            event = waiting.get(timeout=EVERY_SECONDS)
        except Empty:
            _wait(0)
            continue
        if event is None:
            return after
        if is_first:
            tail.show_last()
            is_first = False
        _take(tail, event)
        after = event.last_block if event.last_block is not None else after


def _take(tail: _Tail, event: Event) -> None:
    if event.kind == "missed":
        tail.missed(tail.read(event.data)["missed"])
    elif event.data:
        tail.show([tail.read(event.data)])


def _query_string(params: dict[str, Any], after: int | None) -> str:
    from urllib.parse import urlencode

    for name, value in params.items():
        for item in value if isinstance(value, list) else ():
            if "," in item:
                problem = f"{item!r} has a comma, which a gateway's tail splits"
                raise ConfigError(session.option_of(name), problem, "it in the query")
    more = {} if after is None else {"after_block": after}
    return urlencode(params | more, doseq=True)
