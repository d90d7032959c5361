"""`pipeline collect`: follows log files, and runs collectors of your own.

What is followed stands under `collect` in the configuration. Files or globs on the
command line are followed instead, and no collectors are run then:

    pipeline collect --source web '/var/log/app/*.log'

SIGHUP, or a change of the configuration's file, has other files followed; those that
stay go on where they were, as they do after a restart: nothing is read twice.
"""

from __future__ import annotations

import signal
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from pipeline import clock, journal, service
from pipeline.cli import process
from pipeline.collectors.journaling import Journaling
from pipeline.entry import entry_from_map
from pipeline.errors import ConfigError, EntryError, PipelineError
from pipeline.settings.live import taken_over
from pipeline.settings.model import Collect, Files, Settings
from pipeline.settings.watching import LOOK_SECONDS, Configuration, Reading

if TYPE_CHECKING:
    from pipeline.collectors.collector import Collector
    from pipeline.collectors.plugins import Running
    from pipeline.collectors.tail.tailer import Tailer

NAME: Final = "collector"
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
    stop = service.stop_on_signals(service.END_SIGNALS)
    news = _News(settings, process.configuration_of(arguments))
    service.on_hangup(news.ask, stop.set)
    journal.note_threads(NAME)
    journaling = Journaling(settings)
    own = _Own()
    try:
        own.go_by(settings, collect)
        while not stop.is_set:
            current = collected(news.settings, arguments.files, arguments.source)
            _go_on(own, news.settings, current)
            _follow(news, current.files, stop)
    finally:
        own.stop()
        journaling.close()
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


class _News:
    """The settings that hold, and whether there are others to go by."""

    def __init__(self, settings: Settings, configuration: Configuration) -> None:
        self.settings = settings
        self._reading = Reading(configuration)
        self._is_announced = False

    def ask(self) -> None:
        """Read them anew, soon; a signal handler calls."""
        self._reading.ask()

    def announce(self, groups: Sequence[Files]) -> None:
        """Say what is followed; the first time the supervisor hears it, too."""
        paths = [path for group in groups for path in group.paths]
        said = "following " + ", ".join(paths) if paths else "no files to follow"
        if self._is_announced:
            service.say(f"{NAME}: {said}")
        else:
            service.announce_ready(NAME, said)
        self._is_announced = True

    def have_come(self) -> bool:
        """Whether those that hold are others than at the last call."""
        read = self._reading.step(clock.monotonic())
        if read is None:
            return False
        try:
            if isinstance(read, PipelineError):
                raise read
            check(read.collect)
        except PipelineError as error:
            journal.warn(NAME, f"the old configuration stays: {error}")
            return False
        self.settings, changed, _ = taken_over(self.settings, read, NAME)
        service.say(f"{NAME}: reloaded: {', '.join(changed) or 'nothing changed'}")
        return bool(changed)


def _go_on(own: _Own, settings: Settings, collect: Collect) -> None:
    try:
        own.go_by(settings, collect)
    except ConfigError as error:
        journal.error(NAME, f"the collectors before stay: {error}")


def _follow(news: _News, groups: Sequence[Files], stop: service.StopSignal) -> None:
    """Until asked to stop, or the settings are others."""
    if not groups:
        news.announce(groups)
        while not stop.wait(LOOK_SECONDS) and not news.have_come():
            stop.drain()
        return
    from pipeline.collectors.link import Link
    from pipeline.collectors.tail.tailer import Tailer
    from pipeline.redaction import Redactor, rules_of

    settings = news.settings
    link = Link((settings.ingest.endpoint, settings.publish.endpoint))
    rules = rules_of(settings.redaction)
    tailer = Tailer(groups, link, None if rules is None else Redactor(rules))
    signal.signal(signal.SIGUSR1, lambda *_: _tell(tailer))
    news.announce(groups)
    try:
        tailer.run(stop, news.have_come)
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        tailer.close()
        link.close()


def _tell(tailer: Tailer) -> None:
    """Say how far each file is: the answer to SIGUSR1."""
    for line in tailer.status():
        service.say(f"collector: {line}")


class _Own:
    """The collectors of the configuration, and what they log to."""

    def __init__(self) -> None:
        self._collector: Collector | None = None
        self._running: Running | None = None
        self._given: tuple[object, object] = ((), None)

    def go_by(self, settings: Settings, collect: Collect) -> None:
        """Run these; those that run go on when they are the same.

        Raises ConfigError, and then nothing has changed: the new ones are made before
        the others are stopped.
        """
        # without a collector of somebody's own nothing is masked here
        given = collect.collectors, settings.redaction if collect.collectors else None
        if given == self._given:
            return
        if not collect.collectors:
            self.stop()
            self._given = given
            return
        from pipeline.collectors.plugins import make_all, run_all

        collector = _collector(settings)
        try:
            configured = [(own.path, own.options) for own in collect.collectors]
            made = make_all(configured, collector)
        except ConfigError:
            collector.close(0)
            raise
        self.stop()
        self._collector, self._given = collector, given
        self._running = run_all(made, collector)

    def stop(self) -> None:
        """Ask them to end, then send what they logged."""
        if self._running is not None:
            for name in self._running.stop_all(STOP_SECONDS):
                journal.warn(NAME, f"{name} did not end")
        if self._collector is not None:
            self._collector.close(STOP_SECONDS)
        self._running = self._collector = None


def _collector(settings: Settings) -> Collector:
    from pipeline.collectors.collector import Collector
    from pipeline.redaction import rules_of

    return Collector(
        settings.ingest.endpoint,
        acknowledge_endpoint=settings.publish.endpoint,
        redaction=rules_of(settings.redaction),
        **asdict(settings.collector),
    )
