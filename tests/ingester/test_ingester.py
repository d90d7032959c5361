"""The ingester as a process: what it acknowledged is there, whatever happens to it."""

from __future__ import annotations

import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgpack
import pytest
import zmq

from pipeline import transport
from pipeline.collectors.collector import Collector
from pipeline.control import Client, endpoint_of
from pipeline.wire.frame import SUMMARY_TOPIC, Acknowledgement, Flag, Reply, Status
from tests.ingester.process import WAIT_MS, Process, Sender
from tests.running import RunningIngester
from tests.wire.messages import batch, entry, message, plain, rows


@pytest.fixture
def ingester(tmp_path: Path) -> Iterator[Process]:
    """A running one."""
    running = Process(tmp_path)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def sender(ingester: Process) -> Iterator[Sender]:
    """One that has heard HELLO."""
    made = Sender(ingester)
    assert made.reply()[:1] == (Reply.HELLO,)
    yield made
    made.close()


def entries(first: int, count: int) -> list[object]:
    """Entries whose messages are their numbers."""
    return [entry(str(number)) for number in range(first, first + count)]


def send(sender: Sender, first: int, count: int, **changes: object) -> None:
    """One batch of them."""
    sender.send(*batch(entries(first, count), first, **changes))  # type: ignore[arg-type]


def messages(ingester: RunningIngester) -> list[str]:
    """What is stored of senders."""
    entries = ingester.entries()
    return [row.message for row in entries if row.source != "pipeline"]


def numbers(first: int, last: int) -> list[str]:
    """Messages of entries."""
    return [str(number) for number in range(first, last + 1)]


def test_acknowledged_is_stored(ingester: Process, sender: Sender) -> None:
    """The acknowledgement comes after the commit."""
    send(sender, 1, 3)

    reply = sender.wait_for(3)

    assert messages(ingester) == numbers(1, 3)
    assert (reply.kind, reply.status, reply.accepted) == (Reply.ACK, Status.OK, 3)


def test_a_late_subscriber_gets_hello_with_the_marks(
    ingester: Process, sender: Sender
) -> None:
    """Each subscription asks for it; a stranger's marks are 0."""
    send(sender, 1, 3)
    sender.wait_for(3)

    late, stranger = Sender(ingester), Sender(ingester, b"s" * 16)

    assert late.reply()[:1] + late_marks(late, ingester) == (Reply.HELLO, 3, 3)
    assert stranger.reply()[4:6] == (0, 0)
    late.close()
    stranger.close()


def late_marks(late: Sender, ingester: Process) -> tuple[int, int]:
    """Durable and accepted as a further subscriber hears them."""
    further = Sender(ingester)
    reply = further.reply()
    further.close()
    return reply.durable, reply.accepted


def test_hello_comes_once_what_was_accepted_is_durable(
    ingester: Process, sender: Sender
) -> None:
    """So that it never says less than a commit that runs will make true."""
    send(sender, 1, 60_000)
    late = Sender(ingester)

    reply = late.reply()

    while reply.kind != Reply.HELLO:
        reply = late.reply()
    assert reply.durable == reply.accepted
    late.close()


def test_a_restart_goes_on_with_the_numbers(ingester: Process) -> None:
    """What is sent again is a duplicate; what is missing is asked for."""
    first = Sender(ingester)
    boot = first.reply().boot
    send(first, 1, 3)
    first.wait_for(3)
    first.close()
    assert ingester.end(signal.SIGTERM) == 0

    ingester.start()
    again = Sender(ingester)
    hello = again.reply()
    assert (hello.kind, hello.durable, hello.accepted) == (Reply.HELLO, 3, 3)
    assert hello.boot != boot
    send(again, 1, 3)
    assert again.reply()[0] == Reply.ACK
    send(again, 6, 2)
    nack = again.reply()
    assert (nack.kind, nack.accepted) == (Reply.NACK, 3)
    send(again, 4, 2)
    send(again, 6, 2)
    again.wait_for(7)

    assert messages(ingester) == numbers(1, 7)
    again.close()


def test_sigterm_commits_what_was_taken(tmp_path: Path) -> None:
    """And acknowledges it: the time of the next commit would be long after."""
    ingester = Process(tmp_path)
    ingester.environment["PIPELINE_INGEST__COMMIT_INTERVAL_MS"] = "10000"
    ingester.start()
    sender = Sender(ingester)
    sender.reply()
    client = Client(endpoint_of("", str(ingester.database)))
    for number in range(50):
        send(sender, 1 + number * 100, 100)
    while client.status()["counters"].get("messages", 0) < 50:
        time.sleep(0.02)

    assert ingester.end(signal.SIGTERM) == 0

    assert sender.wait_for(5000).durable == 5000
    assert messages(ingester) == numbers(1, 5000)
    sender.close()


def test_plain_maps_arrays_and_topics_are_stored(ingester: Process) -> None:
    """All that a sender needs is a PUSH socket and msgpack."""
    push = transport.push(ingester.ingest)
    push.send(msgpack.packb({"source": "a", "message": "one"}))
    push.send(msgpack.packb([{"source": "a", "message": "two"}, {"source": "a"}]))
    push.send_multipart([b"topic", msgpack.packb({"message": "four"})])

    assert ingester.wait_for("four").source == "topic"

    assert sorted(messages(ingester)) == ["four", "one", "two"]
    assert ingester.letters() == {"entry_message": 1}
    push.close(0)


def test_rows_may_be_sent_and_acknowledged(ingester: Process, sender: Sender) -> None:
    """A batch without columns; a rejected row is counted and costs only itself."""
    maps = [{"source": "a", "message": str(number)} for number in range(3)]
    sender.send(*rows([maps[0], {"source": ""}, maps[2]], flags=Flag.FLUSH))

    assert sender.wait_for(3).rejected == 1

    assert messages(ingester) == ["0", "2"]


def test_garbage_costs_an_honest_sender_nothing(
    ingester: Process, sender: Sender
) -> None:
    """1,000 bad messages of every kind between its batches."""
    chance = random.Random(7)
    noise = transport.push(ingester.ingest)
    good = batch(entries(1, 1))
    for number in range(1000):
        noise.send_multipart(_garbage(chance, good))
        if number % 20 == 0:
            send(sender, 1 + number, 20)

    sender.wait_for(1000)

    found = [row.message for row in ingester.entries("web")]
    assert Counter(numbers(1, 1000)) == Counter(found)
    assert sum(ingester.letters().values()) > 100
    noise.close(0)


def _garbage(chance: random.Random, good: Sequence[bytes]) -> list[bytes]:
    head, payload = good
    noise = chance.randbytes(chance.randint(0, 200))
    place = chance.randrange(len(head))
    flipped = head[:place] + bytes([head[place] ^ 1 << chance.randrange(8)])
    return chance.choice(
        (
            [noise],
            [noise, noise],
            [noise] * 3,
            [head, noise],
            [head],
            [head[:63], payload],
            [b"RLP1" + noise[:60].ljust(60), payload],
            [flipped + head[place + 1 :], payload],
            message(noise, producer=chance.randbytes(16)),
            message(plain([noise]), producer=chance.randbytes(16), codec=2),
        )
    )


def test_a_frame_beyond_the_limit_ends_only_its_connection(
    ingester: Process, sender: Sender
) -> None:
    """ZeroMQ closes it; the others go on."""
    large = transport.push(ingester.ingest)
    large.send(bytes((16 << 20) + 1))
    send(sender, 1, 3)

    sender.wait_for(3)

    large.close(0)


def test_a_second_ingester_ends_with_a_clear_line(ingester: Process) -> None:
    """Two writers would corrupt the database."""
    ended = ingester.second()

    assert ended.returncode == 1
    assert f"in use by process {ingester.pid}; stop it first" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_named(ingester: Process, tmp_path: Path) -> None:
    """With the setting that would change it."""
    taken = transport.context().socket(zmq.REP)
    port = taken.bind_to_random_port("tcp://127.0.0.1")
    other = Process(tmp_path)
    other.environment |= {
        "PIPELINE_STORAGE__DB_PATH": str(tmp_path / "other.db"),
        "PIPELINE_INGEST__ENDPOINT": f"tcp://127.0.0.1:{port}",
    }

    ended = other.second()

    assert ended.returncode == 1
    assert f"ingest.endpoint: can't listen on tcp://127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr
    taken.close(0)


def test_a_killed_ingester_loses_nothing_of_a_collector(ingester: Process) -> None:
    """Five times in the middle; each entry is there once, under an id of its own."""
    log = Collector(ingester.ingest, "killed", acknowledge_endpoint=ingester.publish)
    chance = random.Random(3)
    for part in range(6):
        for number in range(4000):
            log.log("INFO", f"{part}.{number}")
        if part < 5:
            log.flush(chance.random() * 0.1)
            ingester.end(signal.SIGKILL)
            ingester.start()
    assert log.flush(20)
    log.close()

    found = Counter(row.message for row in ingester.entries("killed"))
    assert len(found) == 24_000
    assert set(found.values()) == {1}


def refusal(sender: Sender, durable: int) -> Acknowledgement:
    """The first reply but for those that come while a commit is waited for."""
    while (reply := sender.reply()).status is Status.OK:
        assert reply.durable == durable
    return reply


def test_a_disk_that_refuses_is_waited_for(ingester: Process, sender: Sender) -> None:
    """Nothing is acknowledged, the sender is told, and it goes on by itself."""
    send(sender, 1, 3)
    sender.wait_for(3)
    unlimited = resource.prlimit(ingester.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(ingester.pid, resource.RLIMIT_FSIZE, (4096, unlimited[1]))
    send(sender, 4, 3)

    reply = refusal(sender, 3)
    assert (reply.status, reply.durable, reply.accepted) == (Status.DISK_FULL, 3, 6)
    assert reply.retry_ms > 0
    assert "can't be written" in ingester.said()
    assert messages(ingester) == numbers(1, 3)
    send(sender, 7, 3)

    resource.prlimit(ingester.pid, resource.RLIMIT_FSIZE, unlimited)
    sender.wait_for(9)

    assert messages(ingester) == numbers(1, 9)
    (complaint,) = ingester.entries("pipeline")
    assert "can't be written" in complaint.message


def test_a_disk_that_refuses_at_the_end_costs_what_was_not_acknowledged(
    ingester: Process, sender: Sender
) -> None:
    """The process ends all the same; the sender still has it."""
    unlimited = resource.prlimit(ingester.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(ingester.pid, resource.RLIMIT_FSIZE, (4096, unlimited[1]))
    send(sender, 1, 3)
    assert refusal(sender, 0).status == Status.DISK_FULL

    assert ingester.end(signal.SIGTERM) == 0

    ingester.start()
    again = Sender(ingester)
    assert again.reply().durable == 0
    send(again, 1, 3)
    again.wait_for(3)
    assert messages(ingester) == numbers(1, 3)
    again.close()


def test_summaries_count_what_was_committed(ingester: Process, sender: Sender) -> None:
    """By second, source and level; the boot and the block tell of holes."""
    listener = transport.subscribe(ingester.publish, [SUMMARY_TOPIC])
    found: Counter[tuple[str, int]] = Counter()
    end = time.monotonic() + WAIT_MS / 1000
    number = 1
    while not found and time.monotonic() < end:
        send(sender, number, 3, flags=Flag.FLUSH)
        sender.wait_for(number + 2)
        number += 3
        while listener.poll(20):
            body = msgpack.unpackb(listener.recv_multipart()[1])
            assert body["rows"] == 3
            assert body["block"] > 0
            found.update({(row[1], row[2]): row[3] for row in body["counts"]})

    assert set(found) == {("web", 9)}
    listener.close(0)
