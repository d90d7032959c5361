"""The process of `pipeline mcp`: the tools for language models, by the MCP SDK."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

from pipeline import service
from pipeline.mcp import server, serving
from pipeline.mcp.callers import token_of
from pipeline.mcp.gateway import Gateway
from pipeline.tools.definitions import DEFINITIONS

GATEWAY_VARIABLE: Final = "PIPELINE_TOKEN"
"""The gateway's, for those whom it knows."""


def run(
    url: str,
    timeout: float,
    http: str | None,
    names: Sequence[str],
    token_file: str | None,
) -> None:
    """Serve until asked to stop, on stdio until the client goes.

    By HTTP only those are answered who have the token, where there is one.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    tools = server.make(
        DEFINITIONS,
        partial(
            Gateway, url, timeout, os.environ.get(GATEWAY_VARIABLE, "").strip() or None
        ),
    )
    stop = service.stop_on_signals()
    if http is None:
        asyncio.run(serving.stdio(tools, stop))
    else:
        token = token_of(token_file, os.environ)
        listener = serving.listen(http, names, token)
        asyncio.run(serving.http(tools, stop, listener, names, token))
