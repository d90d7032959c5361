"""`pipeline collect`: follows log files, and runs collectors of your own.

What is followed stands under `collect` in the configuration. Files or globs on the
command line are followed instead, and no collectors are run then:

    pipeline collect --source web '/var/log/app/*.log'
"""

from __future__ import annotations

import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from pipeline import service
from pipeline.cli import process
from pipeline.entry import entry_from_map
from pipeline.errors import ConfigError, EntryError
from pipeline.settings.model import Collect, Files, Settings

if TYPE_CHECKING:
    from pipeline.collectors.collector import Collector
    from pipeline.collectors.plugins import Running
    from pipeline.collectors.tail.tailer import Tailer

STOP_SECONDS: Final = 2.0


def add_arguments(parser: ArgumentParser) -> None:
    """The settings' options, and what to follow instead of what they say."""
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="file or glob, instead of collect.*"
    )
    parser.add_argument("--source", help="name of the service, for files given here")
    process.add_arguments(parser)


def run(arguments: Namespace) -> int:
    """Collect until asked to stop."""
    settings = process.start(arguments)
    collect = collected(settings, arguments.files, arguments.source)
    check(collect)
    stop = service.stop_on_signals()
    running = _Own(settings, collect)
    try:
        if collect.files:
            _follow(settings, collect.files, stop)
        else:
            service.announce_ready("collector", "no files to follow")
            stop.wait()
    finally:
        running.stop()
    return 0


def collected(
    settings: Settings, files: Sequence[str], source: str | None = None
) -> Collect:
    """What to collect; files of the command line stand for all that is configured."""
    if not files:
        if source is not None:
            expected = "files or globs beside it"
            raise ConfigError("--source", "is for files given here", expected)
        return settings.collect
    return Collect(files=(Files(paths=tuple(files), source=source or ""),))


def check(collect: Collect) -> None:
    """Raise ConfigError for what no entry may have."""
    for number, group in enumerate(collect.files):
        fields = {"message": "", "tags": list(group.tags)}
        try:
            entry_from_map(fields, 0, group.source or "x")
        except EntryError as error:
            path = f"collect.files[{number}].{error.field}"
            raise ConfigError(path, error.problem, error.expected) from None


def _follow(
    settings: Settings, groups: Sequence[Files], stop: service.StopSignal
) -> None:
    from pipeline.collectors.link import Link
    from pipeline.collectors.tail.tailer import Tailer

    link = Link((settings.ingest.endpoint, settings.publish.endpoint))
    tailer = Tailer(groups, link)
    signal.signal(signal.SIGUSR1, lambda *_: _tell(tailer))
    paths = [path for group in groups for path in group.paths]
    service.announce_ready("collector", "following " + ", ".join(paths))
    try:
        tailer.run(stop)
    finally:
        tailer.close()
        link.close()


def _tell(tailer: Tailer) -> None:
    """Say how far each file is: the answer to SIGUSR1."""
    for line in tailer.status():
        service.say(f"collector: {line}")


class _Own:
    """The collectors of the configuration, and what they log to."""

    def __init__(self, settings: Settings, collect: Collect) -> None:
        self._collector: Collector | None = None
        self._running: Running | None = None
        if not collect.collectors:
            return
        from pipeline.collectors.collector import Collector
        from pipeline.collectors.plugins import start_all

        self._collector = Collector(
            settings.ingest.endpoint,
            acknowledge_endpoint=settings.publish.endpoint,
            **asdict(settings.collector),
        )
        try:
            configured = [(own.path, own.options) for own in collect.collectors]
            self._running = start_all(configured, self._collector)
        except ConfigError:
            self._collector.close(0)
            raise

    def stop(self) -> None:
        """Ask them to end, then send what they logged."""
        if self._running is not None:
            for name in self._running.stop_all(STOP_SECONDS):
                service.say(f"collector: {name} did not end")
        if self._collector is not None:
            self._collector.close(STOP_SECONDS)
