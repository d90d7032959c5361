"""`pipeline send`: the lines of standard input, as in `app 2>&1 | pipeline send`.

When the pipeline is away lines go to the spool; when that is full this stops reading,
and so the program that writes waits: nothing is dropped. The exit code is 0 only when
every line is durable.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import asdict
from types import FrameType
from typing import TYPE_CHECKING, Final, get_args

from pipeline import clock
from pipeline.collectors.lines import UNNAMED, LineFormat, LineParser, LineSplitter
from pipeline.entry import Entry, Level, entry_from_map, parse_level
from pipeline.errors import PipelineError
from pipeline.service import StopSignal, say

if TYPE_CHECKING:
    from pipeline.collectors.collector import Collector

CHUNK_BYTES: Final = 64 << 10
"""Read at once: a pipe holds no more, and no batch gets more lines than it may."""

RETRY_SECONDS: Final = 0.05
FLUSH_SECONDS: Final = 0.5
NOT_DURABLE: Final = 1


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--source", help="name of the service; else the line's own")
    parser.add_argument("--endpoint", help="ingest.endpoint of the pipeline")
    parser.add_argument(
        "--acknowledge-endpoint", help="publish.endpoint; default: ingest port + 1"
    )
    parser.add_argument("--config", metavar="FILE", help="settings, as YAML")
    parser.add_argument(
        "--format", choices=get_args(LineFormat), default="auto", help="of the lines"
    )
    parser.add_argument(
        "--level", type=_level, default=Level.INFO, help="of lines without one"
    )
    parser.add_argument(
        "--tag", action="append", default=[], help="a tag; may be given repeatedly"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="how long to wait at the end for everything to be durable (30)",
    )
    parser.add_argument(
        "--tee", action="store_true", help="also write the lines to standard output"
    )
    parser.add_argument("--quiet", action="store_true", help="no line at the end")


def run(arguments: Namespace) -> int:
    """Send until the input ends; 0 when all of it is durable."""
    parser = LineParser(
        arguments.source,
        form=arguments.format,
        level=arguments.level,
        tags=arguments.tag,
    )
    _check(arguments)
    began = clock.monotonic()
    stop = _Stop(arguments.timeout, interactive=os.isatty(0))
    stop.listen()
    collector = _open_collector(arguments)
    sending = Sending(collector, parser, stop, tee=arguments.tee)
    sending.read(sys.stdin.fileno())
    sending.finish(arguments.timeout)
    if not arguments.quiet or sending.unacknowledged:
        say(sending.summary(clock.monotonic() - began))
    return NOT_DURABLE if sending.unacknowledged or sending.rejected else 0


class _Stop(StopSignal):
    """SIGTERM ends the reading. So does Ctrl-C at a terminal; in a shell's pipeline it
    goes to the program that writes too, whose last lines are worth waiting for."""

    def __init__(self, timeout: float, *, interactive: bool) -> None:
        super().__init__()
        self._timeout = timeout
        self._interactive = interactive
        self._deadline: float | None = None

    @property
    def overdue(self) -> bool:
        """Whether waiting for the pipeline has to end."""
        late = self._deadline is not None and clock.monotonic() > self._deadline
        return self.is_set or late

    def listen(self) -> None:
        """Take the signals."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        signal.signal(signal.SIGINT, self._interrupt)

    def release(self) -> None:
        """From now on signals end the process as usual."""
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            if signal.getsignal(number) in (self._end, self._interrupt):
                signal.signal(number, signal.SIG_DFL)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self.set()

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        if self._interactive or self._deadline is not None:
            self.set()
        else:
            self._deadline = clock.monotonic() + self._timeout


class Sending:
    """One stream on its way: read, parsed, handed to the collector, acknowledged."""

    def __init__(
        self, collector: Collector, parser: LineParser, stop: _Stop, *, tee: bool
    ) -> None:
        self.entries = 0
        self.rejected = 0
        self.unacknowledged = 0
        self.spooled = 0
        self.unknown_levels = 0
        self._collector = collector
        self._parser = parser
        self._splitter = LineSplitter()
        self._stop = stop
        self._tee = tee

    def read(self, descriptor: int) -> None:
        """Hand on what comes, until it ends or a signal does."""
        while not self._stop.is_set:
            ready, _, _ = select.select([descriptor, self._stop.fileno()], [], [])
            if descriptor not in ready:
                break
            chunk = os.read(descriptor, CHUNK_BYTES)
            if not chunk:
                break
            self._copy(chunk)
            now = clock.now_ns()
            lines = self._splitter.feed(chunk)
            self._submit([self._parser.entry(line, now) for line in lines])
        now = clock.now_ns()
        self._submit(
            [self._parser.entry(line, now) for line in self._splitter.finish()]
        )

    def finish(self, timeout: float) -> None:
        """Wait until everything is durable; count what is not in time."""
        self._stop.release()
        end = clock.monotonic() + timeout
        while not self._collector.flush(min(FLUSH_SECONDS, timeout)):
            if not self._collector.stats()["waiting"] or clock.monotonic() >= end:
                break
        stats = self._collector.stats()
        self.rejected = sum(stats["rejected"].values())
        self.unknown_levels = stats["unknown_levels"]
        given_up = (*stats["dropped"].values(), *stats["lost"].values())
        lost = sum(sum(levels.values()) for levels in given_up)
        self.unacknowledged += stats["waiting"] + lost
        self._collector.close(FLUSH_SECONDS)
        self.spooled = self._collector.stats()["spooled"]

    def summary(self, seconds: float) -> str:
        """What happened, in one line."""
        parts = [f"{self.entries} entries", f"{self.rejected} rejected"]
        if self._parser.truncated:
            parts.append(f"{self._parser.truncated} cut to the limit")
        if self._parser.undecodable:
            parts.append(f"{self._parser.undecodable} not UTF-8")
        if self.unknown_levels:
            parts.append(f"{self.unknown_levels} of an unknown level")
        if self.unacknowledged:
            spooled = f" ({self.spooled} spooled for the next session)"
            parts.append(
                f"{self.unacknowledged} NOT ACKNOWLEDGED{spooled * bool(self.spooled)}"
            )
        return f"pipeline send: {', '.join(parts)}, {seconds:.2f} s"

    def _submit(self, entries: list[Entry]) -> None:
        """Hand entries on, waiting for as long as the pipeline takes nothing."""
        if not entries:
            return
        self.entries += len(entries)
        while not self._collector.submit(entries):
            self._stop.wait(RETRY_SECONDS)
            if self._stop.overdue:
                self._stop.set()
                self.unacknowledged += len(entries)
                return

    def _copy(self, chunk: bytes) -> None:
        """Write to standard output; if nobody reads it any more, go on without."""
        try:
            while self._tee and chunk:
                chunk = chunk[os.write(1, chunk) :]
        except BrokenPipeError:
            self._tee = False


def _level(text: str) -> Level:
    number = parse_level(text)
    if number is None:
        raise ArgumentTypeError(
            f"{text!r} is no level; one of {', '.join(Level.__members__)}"
        )
    return Level(number)


def _check(arguments: Namespace) -> None:
    """Refuse what no entry may have, before anything is read."""
    fields = {"message": "", "tags": arguments.tag}
    entry_from_map(fields, 0, UNNAMED if arguments.source is None else arguments.source)
    if sys.stdin is None:
        raise PipelineError("standard input is closed; pipe a program into it")


def _open_collector(arguments: Namespace) -> Collector:
    from pipeline.cli.process import show_key
    from pipeline.collectors.collector import Collector
    from pipeline.redaction import rules_of
    from pipeline.settings import load

    acknowledge = arguments.acknowledge_endpoint
    if arguments.endpoint is None:
        settings = load(arguments.config, os.environ, {})
        show_key(settings)
        return Collector(
            settings.ingest.endpoint,
            acknowledge_endpoint=acknowledge or settings.publish.endpoint,
            redaction=rules_of(settings.redaction),
            **asdict(settings.collector),
        )
    return Collector(arguments.endpoint, acknowledge_endpoint=acknowledge)
