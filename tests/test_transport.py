"""Sockets with their limits, and where acknowledgements come from."""

from pathlib import Path

import pytest

from pipeline import transport
from pipeline.errors import PipelineError
from pipeline.limits import FRAME_BYTES


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556"),
        ("tcp://[::1]:6000", "tcp://[::1]:6001"),
        ("tcp://logs.example:80", "tcp://logs.example:81"),
    ],
)
def test_acknowledgements_come_from_the_next_port(endpoint: str, expected: str) -> None:
    """Unless somebody says otherwise."""
    assert transport.default_acknowledge_endpoint(endpoint) == expected


@pytest.mark.parametrize("endpoint", ["ipc:///tmp/x", "localhost:1", "tcp://h:x", ""])
def test_an_address_that_can_not_be_guessed_is_asked_for(endpoint: str) -> None:
    """A path has no next one."""
    with pytest.raises(PipelineError, match="give acknowledge_endpoint"):
        transport.default_acknowledge_endpoint(endpoint)


def test_messages_go_from_push_to_pull(tmp_path: Path) -> None:
    """Whole, in order, and never waiting."""
    endpoint = f"ipc://{tmp_path}/in"
    pull = transport.pull(endpoint)
    push = transport.push(endpoint)
    assert transport.receive(pull) is None

    while not transport.writable(push):
        pass
    assert transport.send(push, [b"a", b"b"])

    assert pull.poll(5000)
    assert transport.receive(pull) == [b"a", b"b"]
    assert transport.send(push, [b"c" * 100_000])
    assert pull.poll(5000)
    views = transport.receive_views(pull)
    assert views is not None
    assert bytes(views[0]) == b"c" * 100_000
    push.close(0)
    pull.close(0)


def test_nothing_is_taken_while_nobody_is_there(tmp_path: Path) -> None:
    """What lived only in a socket would be lost without a word."""
    push = transport.push(f"ipc://{tmp_path}/in")

    assert not transport.send(push, [b"x"])
    assert not transport.writable(push)

    push.close(0)


def test_a_frame_beyond_the_limit_does_not_arrive(tmp_path: Path) -> None:
    """Its connection ends; another sender's goes on."""
    endpoint = f"ipc://{tmp_path}/in"
    pull = transport.pull(endpoint)
    large, good = transport.push(endpoint), transport.push(endpoint)
    large.send(bytes(FRAME_BYTES + 1))
    good.send(b"good")

    assert pull.poll(5000)
    assert transport.receive(pull) == [b"good"]
    assert not pull.poll(50)
    for socket in (large, good, pull):
        socket.close(0)


@pytest.mark.parametrize("make", [transport.push, transport.pull, transport.xpub])
def test_a_wrong_address_says_what_would_be_right(make: object) -> None:
    """By our error, not ZeroMQ's."""
    with pytest.raises(PipelineError, match=r"can't (connect to|listen on) nonsense"):
        make("nonsense")  # type: ignore[operator]
