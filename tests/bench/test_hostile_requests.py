"""A short siege: hostile requests and frames against a whole pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from bench import fuzzing, strategies
from bench.hostile_requests import compare, siege
from bench.replies import LEAK, beyond_greeting, untold
from bench.siege import Found, Plan
from pipeline.gateway import openrpc
from pipeline.gateway.methods.table import METHODS


def test_a_short_siege_changes_nothing(tmp_path: Path) -> None:
    """No crash, no leak, no answer to strangers; who behaves notices nothing."""
    found = siege(tmp_path, Plan(requests=600, connections=120, is_short=True))

    assert not found.problems, found.text()
    assert found.stored == found.logged > 0
    assert found.counters["authentications_limited"]
    assert found.counters["slow_heads"]
    assert found.counters["bad_requests"]


def test_calls_are_of_all_methods_and_few_are_right() -> None:
    """As the document has them."""
    document = json.loads(openrpc.encode(METHODS.values()))
    calls = fuzzing.Calls(document, Random(1))
    texts = b" ".join(calls.body() for _ in range(3_000)).decode(errors="replace")

    assert all(f'"{name}"' in texts for name in METHODS)
    assert fuzzing.Calls(document, Random(1)).body() in texts.encode()


def test_hypothesis_makes_calls_of_the_document() -> None:
    """Each of a method that there is, the same for a seed; they go among the others."""
    document = json.loads(openrpc.encode(METHODS.values()))
    others = strategies.bodies(document, 1, 40)
    calls = fuzzing.Calls(document, Random(1), others)

    assert len(others) == 40
    assert others == strategies.bodies(document, 1, 40)
    assert {json.loads(body)["method"] for body in others} <= {*METHODS}
    assert {*others} & {calls.body() for _ in range(200)}


def test_errors_are_looked_at_beside_results() -> None:
    """A result is what was asked for; an error beside it tells nothing of files."""
    good = {"jsonrpc": "2.0", "id": 1, "result": "Traceback of somebody's program"}
    bad = {"jsonrpc": "2.0", "id": 2, "error": {"code": -32603, "data": "/home/x"}}

    said, codes = untold(json.dumps([good, bad]).encode())

    assert codes == ["result", "-32603"]
    assert LEAK.findall(said) == [b"/home/"]


def test_a_peer_without_a_key_hears_a_greeting_alone() -> None:
    """Its mechanism is told, and that there is no more; READY would be too much."""
    greeting, ready = fuzzing.HANDSHAKE[:64], fuzzing.HANDSHAKE[64:]

    assert beyond_greeting(greeting) == b""
    assert beyond_greeting(greeting + b"\x04\x07\x05ERROR\x00") == b""
    assert beyond_greeting(greeting + ready) == ready


def test_growth_and_descriptors_are_told() -> None:
    """A tenth more memory may be, and some descriptors."""
    before = {"gateway 1": (100, 10), "worker 2": (80, 10), "worker 3": (60, 10)}
    after = {"gateway 1": (109, 12), "worker 2": (60, 10), "worker 3": (80, 10)}
    found = Found(before=before, after=after)
    assert not compare(found)

    found.after = {**after, "gateway 1": (120, 90), "worker 3": (100, 10)}
    assert compare(found) == [
        "gateway has grown by 20%",
        "worker has grown by 14%",
        "gateway 1 keeps 80 descriptors",
    ]
