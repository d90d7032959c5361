"""Collectors of other people: a class named in the configuration by its dotted path.

    collect:
      collectors:
        - class: "acme.sensors:Thermometer"
          options: {device: "/dev/ttyUSB0", every: 5}

`pipeline collect` imports the class (it must be installed, or on PYTHONPATH), makes it
with its Collector and the options as keyword arguments, and calls `run` in a thread of
its own:

    class Thermometer:
        def __init__(self, collector, device, every=60.0):
            self._collector, self._device, self._every = collector, device, every

        def run(self, stop):
            while not stop.wait(self._every):
                degrees = read(self._device)
                self._collector.log("INFO", "temperature", {"degrees": degrees},
                                    source="thermometer")

- `stop` is a threading.Event. `run` returns soon after it is set; one that returns
  before has finished, and is not started again.
- When `run` raises, that is an entry of source "pipeline" with the stack, and a new
  object is made and run after 1 s, doubling up to a minute; others go on untouched.
- The Collector is everybody's: `log` it as you like from any thread, don't close it.
- Whatever is wrong with path, class or options ends the start with a ConfigError.
- When the configuration has other collectors, or other rules of redaction, while they
  run, all are made anew (of modules as they were imported) before the old ones are told
  to stop; when one can't be, the old ones go on.
"""

from __future__ import annotations

import importlib
import inspect
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from pipeline import clock
from pipeline.collectors.collector import Collector
from pipeline.errors import ConfigError

SOURCE: Final = "pipeline"
"""Of the entries about collectors that failed."""

FIRST_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 60.0
"""Between a failure and the next start; a life of the longest makes it the first again.
"""

STACK_CHARACTERS: Final = 32_768

_SETTING: Final = "collect.collectors"


class Plugin(Protocol):
    """What the object must do; its class is called with (collector, **options)."""

    def run(self, stop: threading.Event, /) -> None:
        """Collect until `stop` is set; what it raises makes it start anew."""


Make = Callable[[], Plugin]


def load(
    path: str, options: Mapping[str, Any], collector: Collector, key: str = _SETTING
) -> Plugin:
    """An object of the class at `path` ("package.module:Class").

    Raises ConfigError, which names `key`, when there is none or it refuses `options`.
    """
    return _maker(path, options, collector, key)()


class Running:
    """Collectors at work, each in a thread."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(
        self, path: str, plugin: Plugin, make: Make, collector: Collector
    ) -> None:
        """Run one; `make` gives the next object when this one has failed."""
        thread = threading.Thread(
            target=_supervise,
            args=(path, plugin, make, collector, self._stop),
            name=f"collector {path}",
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()

    def stop_all(self, timeout: float) -> list[str]:
        """Ask all to end, and wait `timeout` seconds in all; who did not."""
        self._stop.set()
        end = clock.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - clock.monotonic()))
        return [thread.name for thread in self._threads if thread.is_alive()]


Made = list[tuple[str, Plugin, Make]]
"""Path, object, and what makes the next one."""


def make_all(
    configured: Sequence[tuple[str, Mapping[str, Any]]], collector: Collector
) -> Made:
    """All of them, of which none runs yet; raises ConfigError."""
    makers = [
        (path, _maker(path, options, collector, f"{_SETTING}[{number}]"))
        for number, (path, options) in enumerate(configured)
    ]
    return [(path, make(), make) for path, make in makers]


def start_all(
    configured: Sequence[tuple[str, Mapping[str, Any]]], collector: Collector
) -> Running:
    """Make all, then run each; raises ConfigError before any of them runs."""
    return run_all(make_all(configured, collector), collector)


def run_all(made: Made, collector: Collector) -> Running:
    """Run each."""
    running = Running()
    for path, plugin, make in made:
        running.start(path, plugin, make, collector)
    return running


def _maker(
    path: str, options: Mapping[str, Any], collector: Collector, key: str
) -> Make:
    kind = _find(path, f"{key}.class")
    at = f"{key}.options"
    try:
        signature = inspect.signature(kind)
    except (TypeError, ValueError):  # a class in C may not tell
        signature = None
    if signature is not None:
        try:
            signature.bind(collector, **options)
        except TypeError as error:
            expected = f"what {path}{signature} takes after its collector"
            raise ConfigError(at, str(error), expected) from None

    def make() -> Plugin:
        try:
            plugin: Plugin = kind(collector, **options)
        except ConfigError:
            raise
        except Exception as error:
            expected = f"options that {path} accepts"
            raise ConfigError(at, _brief(error), expected) from error
        return plugin

    return make


def _find(path: str, key: str) -> type:
    """The class at a dotted path; raises ConfigError."""
    name, colon, attribute = path.partition(":")
    if not colon:
        name, _, attribute = path.rpartition(".")
    if not all(part.isidentifier() for part in f"{name}.{attribute}".split(".")):
        raise ConfigError(key, f"{path!r} is no path", '"package.module:Class"')
    try:
        found: object = importlib.import_module(name)
    except Exception as error:
        expected = "a module that is installed or on PYTHONPATH, and can be imported"
        raise ConfigError(key, f"{path}: {_brief(error)}", expected) from error
    for part in attribute.split("."):
        found = getattr(found, part, None)
        if found is None:
            problem = f"{path}: {name} has no {attribute}"
            raise ConfigError(key, problem, "the name of a class in it")
    if not isinstance(found, type) or not callable(getattr(found, "run", None)):
        problem = f"{path} is not a class with a method `run`"
        raise ConfigError(key, problem, "a class as pipeline.collectors.plugins has it")
    return found


def _supervise(
    path: str,
    plugin: Plugin,
    make: Make,
    collector: Collector,
    stop: threading.Event,
) -> None:
    """Run a collector until it has finished or must stop; start it anew if it fails."""
    current: Plugin | None = plugin
    pause = FIRST_SECONDS
    while True:
        begun = clock.monotonic()
        try:
            (current or make()).run(stop)
        # sys.exit() in a thread would end it without a word
        except (Exception, SystemExit) as error:  # noqa: BLE001 - not ours; reported
            failed = error
        else:
            return
        current = None
        if clock.monotonic() - begun >= LONGEST_SECONDS:
            pause = FIRST_SECONDS
        _report(path, failed, None if stop.is_set() else pause, collector)
        if stop.wait(pause):
            return
        pause = min(LONGEST_SECONDS, 2 * pause)


def _report(
    path: str, error: BaseException, pause: float | None, collector: Collector
) -> None:
    again = "" if pause is None else f"; starts again in {pause:g} s"
    stack = "".join(traceback.format_exception(error))
    collector.log(
        "ERROR",
        f"collector {path} failed: {_brief(error)}{again}",
        {
            "collector": path,
            "exc_type": type(error).__qualname__,
            "stack": stack[-STACK_CHARACTERS:],
        },
        source=SOURCE,
    )


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]
