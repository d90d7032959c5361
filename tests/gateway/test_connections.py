"""Connections: who keeps its place, and who is ended."""

from __future__ import annotations

from pipeline.gateway.connections import (
    STALL_BYTES,
    STALL_SECONDS,
    Bounds,
    Connections,
    End,
    Full,
)


class Wire:
    """What waits for a client."""

    def __init__(self, name):
        self.name = name
        self.waiting = 0

    def get_write_buffer_size(self):
        """Bytes."""
        return self.waiting

    def __repr__(self):
        return self.name


def connected(most, *names):
    """That many places, taken by these."""
    connections = Connections(Bounds(most, head_seconds=10, idle_seconds=100))
    wires = [Wire(name) for name in names]
    for wire in wires:
        assert connections.open(wire, 0.0) == (True, None)
    return connections, wires


def use(connections, wire, now):
    """One request that is let in."""
    connections.received(wire, now)
    connections.began(wire)
    connections.admitted(wire)
    connections.ended(wire, now)


def test_strangers_go_before_those_who_have_asked():
    """However long the latter have rested; among them the longest goes."""
    connections, (a, b, stranger) = connected(3, "a", "b", "stranger")
    use(connections, a, 2.0)
    use(connections, b, 1.0)

    gone = [connections.open(Wire("new"), 3.0)[1]]
    use(connections, list(connections._links)[-1], 4.0)
    gone.append(connections.open(Wire("newer"), 5.0)[1])

    assert gone == [stranger, a]
    assert connections.counters == {"connections_displaced": 2}


def test_a_crowd_that_says_nothing_displaces_itself():
    """Who works keeps its place, and who comes anew gets one."""
    connections, (worker,) = connected(3, "worker")
    connections.began(worker)
    for number in range(2000):
        assert connections.open(Wire(str(number)), 1.0)[0]

    assert len(connections) == 3
    assert worker in connections._links


def test_nobody_goes_while_it_is_answered():
    """Then the new one has to come again."""
    connections, wires = connected(2, "a", "b")
    for wire in wires:
        connections.began(wire)

    assert connections.open(Wire("new"), 1.0) == (False, None)
    assert connections.counters == {"connections_refused": 1}


def test_a_head_has_its_time_from_its_first_byte():
    """Of a new connection from its beginning, however often a byte comes."""
    connections, (silent, drips, waits) = connected(9, "silent", "drips", "waits")
    use(connections, waits, 1.0)
    for now in range(9):
        connections.received(drips, float(now))
    connections.received(waits, 5.0)

    assert connections.overdue(10.0) == []
    early = {(link.wire, why) for link, why in connections.overdue(10.5)}
    late = [(link.wire, why) for link, why in connections.overdue(15.5)]

    assert early == {(silent, End.SLOW_HEAD), (drips, End.SLOW_HEAD)}
    assert late == [(waits, End.SLOW_HEAD)]
    assert len(connections) == 0


def test_who_rests_too_long_is_ended():
    """And who is answered is not, however long that takes."""
    connections, (rests, works) = connected(9, "rests", "works")
    use(connections, rests, 1.0)
    connections.began(works)

    found = [(link.wire, why) for link, why in connections.overdue(500.0)]

    assert found == [(rests, End.IDLE)]


def test_who_reads_nothing_is_ended():
    """Who takes some of it now and then is not."""
    connections, (reads, stands) = connected(9, "reads", "stands")
    for wire in (reads, stands):
        connections.began(wire)
        wire.waiting = 10 * STALL_BYTES
        connections.stopped(wire, 0.0)
    reads.waiting -= STALL_BYTES
    connections.overdue(STALL_SECONDS / 2)

    found = [(link.wire, why) for link, why in connections.overdue(STALL_SECONDS + 1)]

    assert found == [(stands, End.SLOW_READER)]


def test_who_reads_steadily_is_not_ended_for_what_is_added():
    """Many replies may come at once to a WebSocket that waited for few."""
    connections, (reads, stands) = connected(9, "reads", "stands")
    for wire in (reads, stands):
        connections.began(wire)
        wire.waiting = 2 * STALL_BYTES
        connections.stopped(wire, 0.0)
        wire.waiting = 500 * STALL_BYTES
    found = []
    for second in range(1, int(2 * STALL_SECONDS)):
        found += connections.overdue(float(second))
        reads.waiting -= STALL_BYTES

    assert [(link.wire, why) for link, why in found] == [(stands, End.SLOW_READER)]


def busy(connections, number, token=""):
    """So many new connections with a request; what each is told."""
    told = []
    for each in range(number):
        wire = Wire(f"{token}{each}")
        assert connections.open(wire, 0.0)[0]
        connections.began(wire)
        told.append((wire, connections.admitted(wire, token)))
    return told


def test_a_token_has_half_of_the_places():
    """What it asks beyond them is refused, and leaves the others their half."""
    connections, _ = connected(20)
    of_one = [full for _, full in busy(connections, 11, "one")]
    of_other = [full for _, full in busy(connections, 9, "other")]

    assert of_one == [None] * 10 + [Full.SHARE]
    assert of_other == [None] * 9
    assert connections.counters == {"shares_exceeded": 1}


def test_a_place_is_free_again_when_its_request_is_over():
    """Answered, or gone in the middle."""
    connections, _ = connected(4)
    (first, _), (second, _) = busy(connections, 2, "one")
    connections.ended(first, 1.0)
    connections.closed(second)

    told = [full for _, full in busy(connections, 3, "one")]

    assert told == [None, None, Full.SHARE]


def test_the_last_places_are_for_probes():
    """Who needs no token may have all others."""
    connections, _ = connected(64)
    told = [full for _, full in busy(connections, 64)]

    assert told == [None] * 62 + [Full.ALL] * 2
    assert connections.counters == {"connections_refused": 2}
