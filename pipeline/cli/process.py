"""What the commands of the processes share: the settings' options, and the frame."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from functools import partial

from pipeline import service
from pipeline.errors import PipelineError
from pipeline.settings import Settings, load
from pipeline.settings.watching import Configuration


def add_arguments(parser: ArgumentParser) -> None:
    """The options that every process takes, so that `up` can pass them on."""
    parser.add_argument("--config", metavar="FILE", help="settings, as YAML")
    parser.add_argument("--host", help="server.host: where the gateway listens")
    parser.add_argument("--port", help="server.port: its port")


def settings_of(arguments: Namespace) -> Settings:
    """The merged settings; ConfigError names what is wrong."""
    flags = {"server.host": arguments.host, "server.port": arguments.port}
    return load(arguments.config, os.environ, flags)


def configuration_of(arguments: Namespace) -> Configuration:
    """Where the settings come from, for a process that reads them anew."""
    ways = partial(settings_of, arguments), partial(_read_anew, arguments)
    return Configuration(*ways, arguments.config)


def flags_of(arguments: Namespace) -> list[str]:
    """The options that were given, for another process."""
    given = {name: getattr(arguments, name) for name in ("config", "host", "port")}
    return [f"--{name}={value}" for name, value in given.items() if value is not None]


def _read_anew(arguments: Namespace) -> Settings:
    """The settings now, if `config check` finds nothing wrong with any of them.

    Another process looks, as it loads what only other processes need. Raises
    PipelineError with all errors.
    """
    words = [sys.executable, "-m", "pipeline", "config", "check"]
    done = subprocess.run(  # noqa: S603 - our own
        [*words, *flags_of(arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().replace("pipeline config: ", "")
        raise PipelineError(said or f"config check ended with {done.returncode}")
    return settings_of(arguments)


def start(arguments: Namespace, parent: int | None = None) -> Settings:
    """Begin a process: settings, one thread of BLAS, and the end with its parent."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a pool costs 30 MB unused
    service.die_with_parent(parent)
    # not what this process starts follows on it
    told = os.environ.pop(service.PREDECESSOR, None)
    if told is not None:
        from pipeline import journal  # loads what `up` doesn't need

        journal.note_predecessor(told)
    settings = settings_of(arguments)
    if parent is None:  # its own processes talk to it alone
        show_key(settings)
    return settings


def show_key(settings: Settings) -> None:
    """From now on show the ingester this machine's key, where it wants one.

    Raises PipelineError.
    """
    curve = settings.curve
    if not (curve.enabled or curve.key_file):
        return
    from pipeline import keys, transport

    path = keys.key_path(curve.key_file, settings.storage.db_path)
    # processes start beside each other: the first one makes it
    is_own = curve.enabled
    key = keys.server_key(path, transport.new_key_pair) if is_own else None
    endpoints = (settings.ingest.endpoint, settings.publish.endpoint)
    transport.identify(endpoints, key or keys.read_key(path))
