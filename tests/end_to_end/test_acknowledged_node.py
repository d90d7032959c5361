"""The sender in JavaScript that the README shows, and one that isn't acknowledged."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.entry import Entry
from pipeline.store.producers import Question, read_ledger
from tests.running import RunningIngester

pytestmark = [pytest.mark.requires_tool("node"), pytest.mark.requires_tool("npm")]

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "tests" / "node" / "node_modules"
"""`make test` installs them."""

BATCHES, ROWS = 100, 10

TALK = f"""
for (let batch = 0; batch < {BATCHES}; batch++) {{
  const common = {{ source: "shop", level: "WARN" }}
  const entries = Array.from({{ length: {ROWS} }}, (_, row) =>
    ({{ ...common, message: `${{batch}}.${{row}}`, metadata: {{ batch, row }} }}))
  await send(entries)
  console.log(batch)
}}
process.exit()
"""

PLAIN = """
import { encode } from "@msgpack/msgpack"
import { Push } from "zeromq"
const push = new Push()
push.connect("tcp://127.0.0.1:5555")
const one = { source: "plain", level: 30, message: "pino's info", "é": [1, null] }
const many = [{ msg: "first" }, { msg: 2 }, { msg: "third", time: 1763800000.5 }]
await push.send(encode(one))
await push.send(["topic", encode(many)])
"""


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[RunningIngester]:
    """One that a test may kill."""
    running = RunningIngester(tmp_path)
    running.start()
    yield running
    running.stop()


def sender() -> str:
    """The program of the README."""
    (block,) = re.findall(r"```js\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(block.splitlines()) <= 15
    return block


def start(
    program: str, ingester: RunningIngester, folder: Path
) -> subprocess.Popen[str]:
    """Run a program where the packages are, with the ingester's own addresses."""
    assert PACKAGES.exists(), "run: npm ci --prefix tests/node"
    (folder / "node_modules").symlink_to(PACKAGES)
    program = program.replace("tcp://127.0.0.1:5555", ingester.ingest)
    program = program.replace("tcp://127.0.0.1:5556", ingester.publish)
    (folder / "sender.mjs").write_text(program)
    return subprocess.Popen(
        ["node", folder / "sender.mjs"], stdout=subprocess.PIPE, text=True
    )


def kill(ingester: RunningIngester) -> None:
    """kill -9."""
    child = ingester._child
    assert child is not None
    child.kill()
    child.communicate(timeout=20)


def test_each_entry_is_stored_once_though_the_ingester_is_killed(
    ingester: RunningIngester, tmp_path: Path
) -> None:
    """In the middle, and started again; what was acknowledged before is there."""
    running = start(sender() + TALK, ingester, tmp_path)
    assert running.stdout is not None
    try:
        for number in range(BATCHES // 2):
            assert running.stdout.readline() == f"{number}\n"
        kill(ingester)
        stored = {entry.message for entry in ingester.entries()}
        acknowledged = {f"{BATCHES // 2 - 1}.{row}" for row in range(ROWS)}
        assert acknowledged <= stored
        ingester.start()
        running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()

    assert running.returncode == 0
    found = Counter(entry.message for entry in ingester.entries("shop"))
    assert found == Counter(
        f"{batch}.{row}" for batch in range(BATCHES) for row in range(ROWS)
    )
    (first, *_) = ingester.entries("shop")
    assert first.level == 13
    assert first.metadata == {"batch": 0, "row": 0}


@pytest.mark.parametrize("early", [False, True])
def test_nothing_is_sent_twice_without_need(
    ingester: RunningIngester, tmp_path: Path, early: bool
) -> None:
    """A reply with an older mark, as a late HELLO is, is no reason to send again."""
    if early:
        ingester.stop()
    begun = 'console.log("begun")\n'
    running = start(sender() + begun + TALK, ingester, tmp_path)
    assert running.stdout is not None
    try:
        assert running.stdout.readline() == "begun\n"
        if early:
            ingester.start()
        running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()

    (account,) = read_ledger(ingester.database, Question(10)).producers
    assert account.stored == BATCHES * ROWS
    assert account.duplicates <= 2 * ROWS  # of commits that took over a second


def test_a_plain_sender_in_another_language(
    ingester: RunningIngester, tmp_path: Path
) -> None:
    """Three lines: what is good of it is stored, with its topic's name or its own."""
    running = start(PLAIN, ingester, tmp_path)
    try:
        ingester.wait_for("third")
        running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()

    def fields(entry: Entry) -> tuple[object, ...]:
        return entry.source, entry.level, entry.message, entry.metadata

    assert [fields(entry) for entry in ingester.entries()] == [
        ("plain", 9, "pino's info", {"é": [1, None]}),
        ("topic", 9, "first", {}),
        ("topic", 9, "third", {}),
    ]
    assert ingester.entries()[-1].timestamp == 1_763_800_000_500_000_000
