"""The conversation in PROTOCOL.md, held with a real ingester."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

import pipeline
from tests.running import RunningIngester

TEXT = (Path(pipeline.__file__).parent / "delivery" / "PROTOCOL.md").read_text()
BLOCK = re.compile(r"```hex (\w+)\n(.*?)```", re.DOTALL)
BOOT = slice(8, 24)


def frame(block: str) -> bytes:
    """The bytes of a block, which end on each line before its words."""
    lines = (re.split(r" {3,}", line.strip())[0] for line in block.splitlines())
    return bytes.fromhex("".join(lines))


FRAMES = {name: frame(block) for name, block in BLOCK.findall(TEXT)}


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[RunningIngester]:
    """One that knows nobody."""
    running = RunningIngester(tmp_path)
    running.start()
    yield running
    running.stop()


def test_an_ingester_answers_as_the_page_says(ingester: RunningIngester) -> None:
    """HELLO, ACK, the same ACK for a duplicate, NACK for a gap."""
    with zmq.Context() as context, context.socket(zmq.SUB) as replies:
        replies.setsockopt(zmq.RCVTIMEO, 10_000)
        replies.connect(ingester.publish)
        replies.subscribe(FRAMES["topic"])
        answers = [replies.recv_multipart()]
        with context.socket(zmq.PUSH) as push:
            push.setsockopt(zmq.LINGER, 0)
            push.connect(ingester.ingest)
            for head, payload in (
                ("header", "payload"),
                ("header", "payload"),
                ("gap", "gap_payload"),
            ):
                push.send_multipart([FRAMES[head], FRAMES[payload]])
                answers.append(replies.recv_multipart())

    expected = [FRAMES[name] for name in ("hello", "ack", "ack", "nack")]
    assert [topic for topic, _ in answers] == [FRAMES["topic"]] * 4
    for (_, answer), page in zip(answers, expected, strict=True):
        assert answer.replace(answer[BOOT], page[BOOT]) == page

    assert [entry.message for entry in ingester.entries()] == ["hi", "no"]
