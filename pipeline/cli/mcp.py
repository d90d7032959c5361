"""`pipeline mcp`: the tools for language models, on stdio or by HTTP."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

from pipeline import service
from pipeline.cli import options
from pipeline.errors import ConfigError, PipelineError
from pipeline.settings import Settings, load

MARGIN_SECONDS: Final = 5.0
"""The gateway's own limit is met first: its error says how far the question came."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "A client starts it and speaks with it on standard input and output; logs go to"
        " standard error. The gateway may start later and restart."
    )
    parser.add_argument("--config", metavar="FILE", help="settings, as YAML")
    parser.add_argument("--url", help="the gateway, if not that of the settings")
    parser.add_argument(
        "--http",
        metavar="HOST:PORT",
        help="serve streamable HTTP under /mcp instead; port 0 takes a free one",
    )
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="clients of other machines call this one NAME; may be repeated",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="clients of --http must have the token in it (PIPELINE_MCP_TOKEN)",
    )
    parser.add_argument(
        "--timeout",
        type=options.seconds,
        metavar="S",
        help="a call gives up after that (query.timeout_seconds and 5)",
    )


def run(arguments: Namespace) -> int:
    """Serve until the client goes or a signal comes; the exit code."""
    if find_spec("mcp") is None:
        raise PipelineError(
            "the package mcp is missing: pip install 'recursive-log-pipeline[mcp]'"
        )
    settings = load(arguments.config, os.environ, {})
    service.die_with_parent()
    from pipeline.mcp import process

    timeout = arguments.timeout or settings.query.timeout_seconds + MARGIN_SECONDS
    process.run(
        _url(arguments, settings),
        timeout,
        arguments.http,
        arguments.allow_host,
        arguments.token_file,
    )
    return 0


def _url(arguments: Namespace, settings: Settings) -> str:
    """Where the gateway is; one that listens everywhere is asked on this machine."""
    if arguments.url is not None:
        parts = urlsplit(arguments.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            expected = "an address such as http://127.0.0.1:8888"
            raise ConfigError("--url", f"{arguments.url!r} is no address", expected)
        return str(arguments.url)
    host = settings.server.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return (
        f"http://[{host}]:{settings.server.port}"
        if ":" in host
        else (f"http://{host}:{settings.server.port}")
    )
