"""What the commands of the processes share: the settings' options, and the frame."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace

from pipeline import service
from pipeline.settings import Settings, load


def add_arguments(parser: ArgumentParser) -> None:
    """The options that every process takes, so that `up` can pass them on."""
    parser.add_argument("--config", metavar="FILE", help="settings, as YAML")
    parser.add_argument("--host", help="server.host: where the gateway listens")
    parser.add_argument("--port", help="server.port: its port")


def settings_of(arguments: Namespace) -> Settings:
    """The merged settings; ConfigError names what is wrong."""
    flags = {"server.host": arguments.host, "server.port": arguments.port}
    return load(arguments.config, os.environ, flags)


def start(arguments: Namespace, parent: int | None = None) -> Settings:
    """Begin a process: settings, one thread of BLAS, and the end with its parent."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a pool costs 30 MB unused
    service.die_with_parent(parent)
    return settings_of(arguments)
