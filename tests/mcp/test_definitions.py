"""The definitions of the tools: few words, flat schemas, and the same for Node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.tools.definitions import DEFINITIONS

GENERATED = Path(__file__).parents[2] / "node" / "src" / "tools.json"
TYPES = {"string", "integer", "number", "boolean", "array"}


def test_node_has_the_same():
    """`make config` writes them."""
    assert json.loads(GENERATED.read_text()) == list(DEFINITIONS)


@pytest.mark.parametrize("tool", DEFINITIONS, ids=lambda tool: tool["name"])
def test_schemas_are_flat(tool):
    """No $ref, no union and no map within a map: every reader understands them."""
    properties = tool["inputSchema"]["properties"]

    assert {schema["type"] for schema in properties.values()} <= TYPES
    assert {s["items"]["type"] for s in properties.values() if "items" in s} <= TYPES
    assert set(tool["inputSchema"].get("required", [])) <= set(properties)
    assert "$ref" not in json.dumps(tool)


@pytest.mark.parametrize("tool", DEFINITIONS, ids=lambda tool: tool["name"])
def test_each_only_reads(tool):
    """A client may call them without asking a person."""
    assert tool["annotations"]["readOnlyHint"] is True


@pytest.mark.parametrize("tool", DEFINITIONS, ids=lambda tool: tool["name"])
def test_each_has_a_budget(tool):
    """With the default that the server fills in."""
    assert tool["inputSchema"]["properties"]["max_tokens"]["default"] == 6_000
