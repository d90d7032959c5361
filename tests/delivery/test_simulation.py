"""Both sides against a bad world: nothing is lost, nothing is there twice.

What may happen in a schedule stands in `network.Trouble`; test_mutants.py shows that
schedules notice when a rule of the protocol is missing.
"""

from __future__ import annotations

import pytest

from tests.delivery.simulation import SCHEDULES, run

PARTS = 6


@pytest.mark.parametrize("part", range(PARTS))
def test_every_schedule_ends_with_each_number_once(part: int) -> None:
    """The seed of one that doesn't is in the message."""
    worlds = [run(seed) for seed in range(part, SCHEDULES, PARTS)]

    # It went wrong as planned: each kind of trouble has come to some of them.
    assert any(sender.restarts for world in worlds for sender in world.senders)
    assert any(ledger.given_up for world in worlds for ledger in world.ledgers)
    assert any(ledger.forgotten for world in worlds for ledger in world.ledgers)
    assert any(s.line.there.flipped for world in worlds for s in world.senders)
    assert any(sender.recut for world in worlds for sender in world.senders)
