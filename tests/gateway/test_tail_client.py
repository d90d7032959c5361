"""What waits for one listener: bounded, in order, with what was given up counted."""

from __future__ import annotations

import asyncio

from pipeline.gateway import events
from pipeline.gateway.tail import QUEUE_BYTES, Client, Delivery


def test_what_was_put_comes_out_together():
    """In its order, with the last block that it covers."""

    async def test():
        client = Client(10, joined_at=1)
        client.put([b"a", b"b"], 2, 0)
        client.put([b"c"], 3, 0)
        return await client.take(5)

    assert asyncio.run(test()) == Delivery([b"a", b"b", b"c"], 3, 0)


def test_the_oldest_go_when_there_is_no_room():
    """The client is told once how many."""

    async def test():
        client = Client(2, joined_at=1)
        client.put([b"a", b"b", b"c"], 2, 4)
        return await client.take(5), client.missed, client.missed_total

    assert asyncio.run(test()) == (Delivery([b"b", b"c"], 2, 5), 0, 5)


def test_big_entries_count_by_their_bytes():
    """A few of a megabyte fill the queue."""
    client = Client(1000, joined_at=1)
    big = b"x" * (QUEUE_BYTES // 4)
    client.put([big] * 6, 2, 0)

    assert client.missed == 2


def test_without_anything_new_there_is_a_time_to_say_so():
    """The position moves on all the same."""

    async def test():
        client = Client(2, joined_at=1)
        client.put([], 7, 0)
        return await client.take(0.001)

    assert asyncio.run(test()) == Delivery([], 7, 0)


def test_closing_wakes_who_waits():
    """At once."""

    async def test():
        client = Client(2, joined_at=1)
        asyncio.get_running_loop().call_soon(client.close)
        await client.take(60)
        return client.is_closed

    assert asyncio.run(test())


def test_a_delivery_as_events():
    """Only the last entry moves the id: what a broken connection lost comes again."""
    text = events.encode(Delivery([b'{"a":1}', b'{"a":2}'], 9, 3))

    assert text == (
        b'event: missed\ndata: {"missed":3}\n\n'
        b'data: {"a":1}\n\n'
        b'id: 9\ndata: {"a":2}\n\n'
    )


def test_nothing_new_as_a_comment_that_moves_the_id():
    """No event is dispatched for it."""
    assert events.encode(Delivery([], 9, 0)) == b": nothing new\nid: 9\n\n"


def test_filters_of_a_query_string():
    """Lists are repeated or separated by commas; Last-Event-ID wins."""
    pairs = [("sources", "a, b"), ("sources", "c"), ("q", "x,y"), ("after_block", "1")]
    request = events.read_filters(pairs, {"Last-Event-ID": "5"})

    assert (request.sources, request.q) == (["a", "b", "c"], "x,y")
    assert request.after_block == 5
