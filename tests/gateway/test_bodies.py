"""Bodies: what all requests hold together."""

from __future__ import annotations

import pytest

from pipeline.gateway.bodies import Bodies
from pipeline.gateway.errors import BUSY, RpcError


def test_requests_share_the_room():
    """Who finds none has to come again; what has ended makes room."""
    bodies = Bodies(100)
    with bodies.hold() as first:
        first.take(40)
        first.take(40)
        with bodies.hold() as second, pytest.raises(RpcError) as refused:
            second.take(30)
        assert bodies.held == 80

    assert refused.value.code == BUSY
    assert refused.value.data["retry_after_ms"]
    assert bodies.held == 0
