"""Where settings come from: defaults, then a file, the environment, and flags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.settings.authentication import exposure
from pipeline.settings.curve import exposures
from pipeline.settings.keys import Key, check, keys, parse, sections, unknown
from pipeline.settings.model import Settings

PREFIX = "PIPELINE_"
DEPTH = 8
"""Deepest nesting looked at in a file: the model needs five."""

Values = dict[str, object]
"""Checked values by their path: merging two sources is one update."""


@dataclass(slots=True)
class Survey:
    """All that was given, where it came from, and all that is wrong with it."""

    values: Values = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """Of each value, such as "app.yaml line 7"; the others have their default."""

    errors: list[ConfigError] = field(default_factory=list)

    def take(
        self, path: str, origin: str, make: Callable[[list[ConfigError]], object]
    ) -> None:
        """Keep what `make` gives, or why it doesn't."""
        more: list[ConfigError] = []
        try:
            self.values[path] = make(more)
            self.origins[path] = origin
        except ConfigError as error:
            self.errors += [error, *more]

    @property
    def settings(self) -> Settings:
        """The settings; raises the first of the errors."""
        if self.errors:
            raise self.errors[0]
        made: Settings = build(Settings, "", self.values)
        return made


def load(
    path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """The merged settings: the defaults, then the file, `environ`, and flags by path.

    Flags that are None were not given. Raises ConfigError: unknown key, wrong value,
    unreadable file.
    """
    return survey(path, environ, flags).settings


def survey(
    path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Survey:
    """As `load`, but with every error, and with the origin of each value."""
    found = Survey()
    if path is not None:
        try:
            _from_file(Path(path), found)
        except ConfigError as error:  # nothing of the file can be used
            found.errors.append(error)
    _from_environment(environ or {}, found)
    _from_flags(flags or {}, found)
    if not found.errors:
        settings = found.settings
        if settings.ingest.endpoint == settings.publish.endpoint:
            problem = f"{settings.publish.endpoint} is ingest.endpoint too"
            expected = "an address of its own"
            found.errors.append(ConfigError("publish.endpoint", problem, expected))
        is_enabled = settings.authentication.enabled
        exposed = exposure(settings.server.host, is_enabled=is_enabled)
        if exposed is not None:
            found.errors.append(exposed)
        found.errors += exposures(
            settings.ingest.endpoint,
            settings.publish.endpoint,
            settings.control.endpoint,
            is_enabled=settings.curve.enabled,
        )
    return found


def build(cls: type, prefix: str, values: Values) -> Any:
    """The section `cls` at `prefix`; what has no value has its default."""
    known = sections()
    arguments: dict[str, object] = {}
    for item in fields(cls):
        path = prefix + item.name
        if path in known:
            arguments[item.name] = build(known[path], path + ".", values)
        elif path in values:
            arguments[item.name] = values[path]
    return cls(**arguments)


def from_environment(environ: Mapping[str, str]) -> Values:
    """The settings among `environ`: `PIPELINE_SERVER__PORT` is `server.port`.

    A name without two underscores is a setting only when it is a key of the top level
    (`PIPELINE_PROJECT_NAME`): others belong to the processes (`PIPELINE_READY_FD`).
    Raises ConfigError.
    """
    found = Survey()
    _from_environment(environ, found)
    if found.errors:
        raise found.errors[0]
    return found.values


def _from_environment(environ: Mapping[str, str], found: Survey) -> None:
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        path = name.removeprefix(PREFIX).lower().replace("__", ".")
        origin = f"environment, {name}"
        if path in keys():
            found.take(
                path, origin, partial(_parse, keys()[path], environ[name], origin)
            )
        elif "." in path:
            found.errors.append(unknown(path, origin))


def _from_flags(flags: Mapping[str, object], found: Survey) -> None:
    for path, value in flags.items():
        if value is None:
            continue
        if path not in keys():
            found.errors.append(unknown(path, "flags"))
            continue
        key, origin = keys()[path], "flag --" + path.rpartition(".")[2]
        read = _parse if isinstance(value, str) else _checked
        found.take(path, origin, partial(read, key, value, origin))


def _checked(key: Key, value: object, origin: str, more: list[ConfigError]) -> object:
    return check(key, value, origin, None, more)


def _parse(key: Key, text: Any, origin: str, more: list[ConfigError]) -> object:
    if isinstance(key.default, tuple) and text.lstrip().startswith("["):
        return check(key, _yaml(text, origin)[0], origin, None, more)
    return parse(key, text, origin)


def _from_file(path: Path, found: Survey) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        problem = error.strerror or str(error)
        raise ConfigError(str(path), problem, "a readable YAML file") from None
    except UnicodeDecodeError as error:
        problem = f"byte {error.start} is not UTF-8"
        raise ConfigError(str(path), problem, "UTF-8 text") from None
    data, lines = _yaml(text, str(path))
    if data is None:
        return
    if not isinstance(data, dict):
        raise ConfigError(str(path), "holds no keys", "sections such as server:")
    _flatten(data, "", str(path), lines, found)


def _flatten(
    data: dict[object, object],
    prefix: str,
    file: str,
    lines: Mapping[str, int],
    found: Survey,
) -> None:
    def place(path: str) -> str:
        return f"{file} line {lines.get(path, 1)}"

    for name, value in data.items():
        path = f"{prefix}{name}"
        origin = place(path)
        if path in keys():
            given = partial(check, keys()[path], value, origin, place)
            found.take(path, origin, given)
        elif path not in sections():
            found.errors.append(unknown(path, origin))
        elif isinstance(value, dict):
            _flatten(value, path + ".", file, lines, found)
        elif value is not None:  # a section whose keys are all commented out
            problem = f"{value!r} is not a section ({origin})"
            expected = "keys below it, indented"
            found.errors.append(ConfigError(path, problem, expected))


def _yaml(text: str, file: str) -> tuple[Any, dict[str, int]]:
    """The document in `text`, and the line of each of its keys by path."""
    import yaml

    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        lines = dict(_lines(node, "", file, DEPTH))
        return (loader.construct_document(node) if node else None), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file} line {mark.line + 1}" if mark else file
        raise ConfigError(where, str(error.problem), "valid YAML") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise ConfigError(file, problem, "valid YAML") from None
    finally:
        if loader is not None:
            loader.dispose()


def _lines(node: Any, prefix: str, file: str, depth: int) -> Iterator[tuple[str, int]]:
    """Each key's path and line; YAML itself would let a second key win in silence."""
    if getattr(node, "id", "") == "sequence" and depth:
        for number, value in enumerate(node.value):
            path = f"{prefix.removesuffix('.')}[{number}]"
            yield path, value.start_mark.line + 1
            yield from _lines(value, path + ".", file, depth - 1)
    if getattr(node, "id", "") != "mapping" or depth == 0:
        return
    seen: dict[str, int] = {}
    for name, value in node.value:
        path = f"{prefix}{name.value}"
        line = name.start_mark.line + 1
        if path in seen:
            problem = f"stands twice ({file} lines {seen[path]} and {line})"
            raise ConfigError(path, problem, "each key once")
        seen[path] = line
        yield path, line
        yield from _lines(value, path + ".", file, depth - 1)
