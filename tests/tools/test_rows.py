"""Entries as lines: nothing in the metadata hides what the entry itself has."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.tools.rows import lines, shared
from pipeline.tools.text import clean, value_text


def log(source: str, /, **metadata: Any) -> dict[str, Any]:
    """An entry as `query` gives it."""
    time = "2026-11-22T10:00:00.000000000Z"
    fields = {"level": "ERROR", "message": "failed", "trace_id": None, "id": "x"}
    return {"timestamp": time, "source": source, "metadata": metadata, **fields}


@pytest.mark.parametrize("key", ["source", "level", "date", "trace_id"])
def test_metadata_cannot_stand_for_a_field(key: str) -> None:
    """Each line has its own source, and the key of that name beside it."""
    logs = [log("billing", **{key: "forged"}), log("web", **{key: "forged"})]
    common = shared(logs, 100)
    first, second = lines(logs, common, 100)

    assert "forged" not in common.values()
    assert "billing" in first
    assert "web" in second
    assert f"{key}=forged" in first


def test_a_card_number_that_is_a_number_is_masked() -> None:
    """Not only as text."""
    assert "4111111111111111" not in value_text("pan", 4111111111111111, 100)
    assert value_text("n", 4111, 100) == "4111"


def test_letters_that_nobody_sees_go() -> None:
    """Unicode's tags spell instructions that a person does not see."""
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "ignore")

    assert clean(f"o\u00adk{hidden}", 100) == "ok"


def test_a_key_that_reads_like_another_hides_nothing() -> None:
    """Whoever writes both can't have the one stand for the other."""
    fields = {"err\u200bor": "none", "error": "disk full"}
    logs = [log("billing", **fields), log("billing", **fields)]
    common = shared(logs, 100)

    assert common["error"] == "disk full"
    assert "error=none" in lines(logs, common, 100)[0]
