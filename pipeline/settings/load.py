"""Where settings come from: defaults, then a file, the environment, and flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.settings.keys import Key, check, keys, parse, sections, unknown
from pipeline.settings.model import Settings

PREFIX = "PIPELINE_"
DEPTH = 8
"""Deepest nesting looked at in a file: the model needs five."""

Values = dict[str, object]
"""Checked values by their path: merging two sources is one update."""


def load(
    path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """The merged settings: the defaults, then the file, `environ`, and flags by path.

    Flags that are None were not given. Raises ConfigError: unknown key, wrong value,
    unreadable file.
    """
    values: Values = {} if path is None else _from_file(Path(path))
    values |= from_environment(environ or {})
    values |= _from_flags(flags or {})
    settings: Settings = _build(Settings, "", values)
    if settings.ingest.endpoint == settings.publish.endpoint:
        problem = f"{settings.publish.endpoint} is ingest.endpoint too"
        raise ConfigError("publish.endpoint", problem, "an address of its own")
    return settings


def _build(cls: type, prefix: str, values: Values) -> Any:
    known = sections()
    arguments: dict[str, object] = {}
    for item in fields(cls):
        path = prefix + item.name
        if path in known:
            arguments[item.name] = _build(known[path], path + ".", values)
        elif path in values:
            arguments[item.name] = values[path]
    return cls(**arguments)


def from_environment(environ: Mapping[str, str]) -> Values:
    """The settings among `environ`: `PIPELINE_SERVER__PORT` is `server.port`.

    A name without two underscores is a setting only when it is a key of the top level
    (`PIPELINE_PROJECT_NAME`): others belong to the processes (`PIPELINE_READY_FD`).
    """
    values: Values = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        path = name.removeprefix(PREFIX).lower().replace("__", ".")
        if path in keys():
            values[path] = _parse(keys()[path], environ[name], f"environment, {name}")
        elif "." in path:
            raise unknown(path, f"environment, {name}")
    return values


def _from_flags(flags: Mapping[str, object]) -> Values:
    values: Values = {}
    for path, value in flags.items():
        if value is None:
            continue
        if path not in keys():
            raise unknown(path, "flags")
        key, origin = keys()[path], "flag --" + path.rpartition(".")[2]
        values[path] = (
            _parse(key, value, origin)
            if isinstance(value, str)
            else check(key, value, origin)
        )
    return values


def _parse(key: Key, text: str, origin: str) -> object:
    if isinstance(key.default, tuple) and text.lstrip().startswith("["):
        return check(key, _yaml(text, origin)[0], origin)
    return parse(key, text, origin)


def _from_file(path: Path) -> Values:
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
        return {}
    if not isinstance(data, dict):
        raise ConfigError(str(path), "holds no keys", "sections such as server:")
    return dict(_flatten(data, "", str(path), lines))


def _flatten(
    data: dict[object, object], prefix: str, file: str, lines: Mapping[str, int]
) -> Iterator[tuple[str, object]]:
    def place(path: str) -> str:
        return f"{file} line {lines.get(path, 1)}"

    for name, value in data.items():
        path = f"{prefix}{name}"
        origin = place(path)
        if path in keys():
            yield path, check(keys()[path], value, origin, place)
        elif path not in sections():
            raise unknown(path, origin)
        elif isinstance(value, dict):
            yield from _flatten(value, path + ".", file, lines)
        elif value is not None:  # a section whose keys are all commented out
            problem = f"{value!r} is not a section ({origin})"
            raise ConfigError(path, problem, "keys below it, indented")


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
