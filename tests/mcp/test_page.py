"""The page of the shell is true of the tools."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pipeline.tools.definitions import DEFINITIONS
from tests.mcp.clients import connected, of_stdio, text_of

PAGE = (Path(__file__).parents[2] / "pipeline" / "cli" / "SHELL.md").read_text()
PART = PAGE[PAGE.index("## Tools for language models") :]


def test_a_client_with_the_configuration_of_the_page_is_served(pipeline):
    """Its command and arguments, but for the gateway's address."""
    (text,) = re.findall(r"```json\n(.*?)```", PART, re.S)
    (server,) = json.loads(text)["mcpServers"].values()
    assert server["command"] == "pipeline"
    command, *flags = server["args"]
    assert command == "mcp"
    flags = [flag.replace("http://127.0.0.1:8888", pipeline.url) for flag in flags]

    async def act(client):
        return json.loads(await text_of(client, "get_log_stats"))

    reply = connected(of_stdio(pipeline.environ, *flags), act)
    assert reply["total_logs"] > 0


def test_every_tool_is_on_the_page():
    """By its name."""
    assert [
        tool["name"] for tool in DEFINITIONS if f"`{tool['name']}`" not in PART
    ] == []
