"""One POST, to servers that do not do what they should."""

from __future__ import annotations

import pytest

from pipeline.analyzer.channels.channel import Undelivered
from pipeline.analyzer.channels.http import Poster
from tests.analyzer.channels.peers import (
    CLOSE,
    DRIP,
    GARBAGE,
    HANG,
    RESET,
    http_peer,
    nobody,
)

SECRET = {"Authorization": "Bearer S3CR3T"}


@pytest.mark.parametrize(
    ("behaviour", "problem", "again"),
    [
        (500, "answered 500", True),
        (503, "answered 503", True),
        (429, "answered 429", True),
        (408, "answered 408", True),
        (404, "answered 404", False),
        (401, "answered 401", False),
        (302, "answered 302", False),
        (HANG, "no answer within 0.5 s", True),
        (DRIP, "no answer within 0.5 s", True),
        (RESET, "Connection reset by peer", True),
        (CLOSE, "closed the connection without an answer", True),
        (GARBAGE, "answered what is no HTTP", True),
    ],
)
def test_each_failure_says_what_happened(
    behaviour: object, problem: str, again: bool
) -> None:
    """Whether it may pass, and neither the path nor a header of ours."""
    with http_peer(behaviour) as peer:
        poster = Poster(f"{peer.root}/S3CR3T?k=S3CR3T", SECRET, 0.5)
        with pytest.raises(Undelivered) as raised:
            poster.post(b"{}")

    assert raised.value.problem.startswith(peer.root)
    assert problem in raised.value.problem
    assert raised.value.again is again
    assert "S3CR3T" not in str(raised.value)


def test_retry_after_goes_along() -> None:
    """With what may pass."""
    with http_peer((429, 7), (503, "Fri, 31 Dec 1999 23:59:59 GMT"), (404, 7)) as peer:
        found = []
        for _ in range(3):
            with pytest.raises(Undelivered) as raised:
                Poster(peer.root, {}, 5).post(b"{}")
            found.append(raised.value.after)

    assert found == [7.0, 0.0, None]


def test_nobody_listens() -> None:
    """That may pass."""
    with pytest.raises(Undelivered, match="Connection refused") as raised:
        Poster(nobody(), {}, 5).post(b"{}")

    assert raised.value.again


def test_a_host_that_there_is_not() -> None:
    """A name server may be out for a while."""
    with pytest.raises(Undelivered, match=r"http://nowhere\.invalid: "):
        Poster("http://nowhere.invalid/S3CR3T", {}, 5).post(b"{}")


def test_what_is_posted() -> None:
    """To the path with its query; a user of the URL becomes a header."""
    with http_peer() as peer:
        url = peer.root.replace("//", "//ann:p%40ss@") + "/a?b=c"
        Poster(url, {"X-Team": "ops"}, 5).post(b'{"a":1}')

    assert (peer.paths, peer.bodies) == (["/a?b=c"], [{"a": 1}])
    headers = peer.headers[0]
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Basic YW5uOnBAc3M="
    assert headers["X-Team"] == "ops"
    assert "ann" not in headers["Host"]
