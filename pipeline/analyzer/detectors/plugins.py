"""Detectors of other people: a class named in the configuration by its dotted path.

    alerts:
      detectors:
        plugins:
          - class: "acme.watch:Payments"
            options: {least: 10}

The analyzer imports the class (it must be installed, or on PYTHONPATH) and makes it
with the options as keyword arguments. It is a `Detector` of pipeline.analyzer.findings:

    class Payments:
        name = "payments"

        def __init__(self, least=1): ...
        def observe_counts(self, counts, now): ...   # (second, source, level, count)
        def observe_events(self, events, now): ...   # groups of entries, WARN and above
        def evaluate(self, now): ...                 # findings that opened or closed

- All of it runs in the analyzer's loop: it has to be quick, and to bound its memory.
- `now` is in seconds; don't read a clock, so that the past can be replayed.
- Its findings are told under its own name, whatever their `detector` says.
- Whatever is wrong with path, class or options is a ConfigError of the configuration.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from pipeline.analyzer.findings import Detector
from pipeline.errors import ConfigError

_SETTING: Final = "alerts.detectors.plugins"
_METHODS: Final = ("observe_counts", "observe_events", "evaluate")


def load(path: str, options: Mapping[str, Any], key: str = _SETTING) -> Detector:
    """An object of the class at `path` ("package.module:Class").

    Raises ConfigError, which names `key`, when there is none or it refuses `options`.
    """
    kind = _find(path, f"{key}.class")
    at = f"{key}.options"
    try:
        signature = inspect.signature(kind)
    except (TypeError, ValueError):  # a class in C may not tell
        signature = None
    if signature is not None:
        try:
            signature.bind(**options)
        except TypeError as error:
            expected = f"what {path}{signature} takes"
            raise ConfigError(at, str(error), expected) from None
    try:
        made: Detector = kind(**options)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(at, _brief(error), f"options that {path} takes") from error
    name = getattr(made, "name", None)
    if not isinstance(name, str) or not name:
        problem = f"{path} has no name"
        raise ConfigError(f"{key}.class", problem, "an attribute `name`, a text")
    return made


def load_all(
    configured: Sequence[tuple[str, Mapping[str, Any]]], taken: Collection[str] = ()
) -> list[Detector]:
    """All of them, each with a name of its own that is not `taken`; or ConfigError."""
    detectors: list[Detector] = []
    names = set(taken)
    for number, (path, options) in enumerate(configured):
        key = f"{_SETTING}[{number}]"
        detector = load(path, options, key)
        if detector.name in names:
            problem = f"another detector is called {detector.name!r}"
            raise ConfigError(f"{key}.class", problem, "a name of its own")
        names.add(detector.name)
        detectors.append(detector)
    return detectors


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
    missing = [one for one in _METHODS if not callable(getattr(found, one, None))]
    if not isinstance(found, type) or missing:
        lacks = f" with {', '.join(missing)}" if missing else ""
        problem = f"{path} is not a class{lacks}"
        expected = "a class as pipeline.analyzer.detectors.plugins has it"
        raise ConfigError(key, problem, expected)
    return found


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]
