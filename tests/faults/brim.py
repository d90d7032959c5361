"""A disk that is filled to the brim and freed again, and one that is only short.

A small tmpfs with the database and ballast; spools are elsewhere. Services log
throughout, some with a spool and one without acknowledgements, and questions are asked.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from pipeline.control import Client, endpoint_of
from pipeline.ingester.space.reserve import disk_of
from tests.capabilities import need
from tests.faults.disk import fill
from tests.faults.oracle import Claim, check, stored_levels
from tests.faults.processes import Beside, Ingester, Producer, finish, wait_for
from tests.faults.producer import write_corpus
from tests.faults.report import Figures
from tests.faults.site import Site
from tests.faults.stops import Answers
from tests.faults.volume import tmpfs

MEGABYTES = 64
ROUNDS = 3
BACK_SECONDS = 10.0
RATE = ("--rate", "2000", "--memory-bytes", "1000000")
"""With a spool that is soon in use."""

SHORT_SECONDS = 90.0
SHORT_BYTES = 5_000_000
"""Free: below the low-water mark of such a disk, above its floor."""

RETRYABLE = -32003


class Gateway:
    """What a client without a spool hears."""

    def __init__(self, beside: Beside) -> None:
        self._beside = beside

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The reply, whatever it is."""
        request = {"jsonrpc": "2.0", "method": method, "params": params, "id": 1}
        address = ("127.0.0.1", self._beside.port)
        with closing(HTTPConnection(*address, timeout=60)) as connection:
            head = {"Content-Type": "application/json"}
            connection.request("POST", "/rpc", json.dumps(request), head)
            reply: dict[str, Any] = json.loads(connection.getresponse().read())
            return reply

    def log(self) -> str:
        """Why an entry was not stored; empty: it was."""
        reply = self.call("log", source="web", message="hello", ack="durable")
        if "result" in reply:
            return ""
        assert reply["error"]["code"] == RETRYABLE, reply
        assert reply["error"]["data"]["retry_after_ms"], reply
        return str(reply["error"]["data"]["problem"])

    def health(self) -> list[str]:
        """Why it isn't well."""
        reasons: list[str] = self.call("health")["result"]["reasons"]
        return reasons


def brim(folder: Path, *, long: bool) -> Figures:
    """To the last byte, three times: all that was acknowledged is there."""
    need("root", "tmpfs")
    seconds = 15.0 if long else 1.0
    with tmpfs(folder / "disk", MEGABYTES) as disk:
        ingester = Ingester(folder, STORAGE__DB_PATH=str(disk / "logs.db"))
        beside = Beside("gateway", ingester)
        site = Site(ingester, *RATE, others=(beside,))
        plain = Producer(ingester, "plain", "--plain", "--rate", "500")
        site.producers.append(plain)
        asked = Client(endpoint_of("", str(ingester.database)))
        with site.running():
            site.wait_for_entries(1)
            gateway, answers = Gateway(beside), Answers(beside)
            assert not gateway.log()
            wait_for("health", lambda: not gateway.health())
            delays = [
                _fill_and_free(site, gateway, answers, disk / "ballast", seconds)
                for _ in range(ROUNDS)
            ]
            finish(site.producers)
            wait_for("reserve", (disk / "logs.db.reserve").exists)
            status = asked.status()
            assert ingester.stop() == 0, ingester.text
        refused = status["counters"]["entries_refused"]
        assert _unstored(ingester.database, site, plain) == refused > 0
        told = [
            text for text in ingester.text.splitlines() if "nothing is taken" in text
        ]
        assert len(told) == 1, told
        oracle = plain.oracle
        held = [each for each in site.oracles if each is not oracle]
        verdict = check(ingester.database, [*held, Claim("plain", oracle.tried, 0)])
        of_gateway = stored_levels(ingester.database, ["web"]).total()
    return verdict._replace(unknown=verdict.unknown - of_gateway).figures(
        "disk full to the brim",
        ROUNDS,
        note=f"back after {max(delays):.1f} s at most; {refused:,} plain ones refused",
    )


def _fill_and_free(
    site: Site,
    gateway: Gateway,
    ask: Callable[[], int],
    ballast: Path,
    seconds: float,
) -> float:
    """Seconds from the return of space to the first acknowledgement."""
    fill(ballast)
    asked = Client(endpoint_of("", str(site.ingester.database)))
    wait_for("a full disk", lambda: _stage(asked) == "full")
    wait_for("refusal", lambda: "disk is full" in gateway.log())
    said = "nothing is taken"
    wait_for("reason", lambda: any(said in each for each in gateway.health()))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ask()
        fill(ballast)
    before = site.progress
    ballast.unlink()
    start = time.monotonic()
    wait_for("acknowledgement", lambda: site.progress > before, BACK_SECONDS)
    back = time.monotonic() - start
    wait_for("room", lambda: not gateway.log(), BACK_SECONDS)
    return back


def _unstored(database: Path, site: Site, plain: Producer) -> int:
    """Plain entries that are missing; those with a spool are not."""
    verdict = check(database, site.oracles)
    wrong = verdict.examples.split("; ")
    assert all(part.startswith(plain.oracle.source) for part in wrong), wrong
    return verdict.lost


def short(folder: Path, *, long: bool) -> Figures:
    """Room is short for longer than a moment: DEBUG goes first, and ERROR stays.

    What is not stored any more is what the ingester says that it took out.
    """
    need("root", "tmpfs")
    corpus = folder / "corpus"
    write_corpus(corpus)
    entries = 400_000 if long else 40_000
    options = ("--entries", str(entries), "--corpus", str(corpus))
    with tmpfs(folder / "disk", MEGABYTES) as disk:
        ingester = Ingester(folder, STORAGE__DB_PATH=str(disk / "logs.db"))
        site = Site(ingester, *options, producers=1)
        asked = Client(endpoint_of("", str(ingester.database)))
        with site.running():
            (producer,) = site.producers
            producer.finish()
            wait_for("the end", lambda: _has_given(asked, disk), SHORT_SECONDS)
            (disk / "ballast").unlink()
            wait_for("room", lambda: _stage(asked) == "plenty", BACK_SECONDS)
            gone = asked.status()["retention"]["rows_by_space"]
            assert ingester.stop() == 0, ingester.text
        stored = stored_levels(ingester.database, [producer.oracle.source])
        logged = Counter(producer.report["levels"])
        assert "DEBUG entries go first" in ingester.text
    lost = logged - stored
    assert lost["DEBUG"] == logged["DEBUG"], (lost, logged)
    return Figures(
        "disk short of room",
        1,
        stored.total(),
        lost["ERROR"] + lost["FATAL"] + abs(lost.total() - gone),
        (stored - logged).total(),
        0,
        note=f"{lost['DEBUG']:,} of {gone:,} that went were DEBUG",
    )


def _leave(disk: Path, free: int) -> None:
    """More ballast, but for so many bytes."""
    more = disk_of(disk).free - free
    with (disk / "ballast").open("ab") as file:
        os.posix_fallocate(file.fileno(), file.tell(), max(1, more))


def _stage(asked: Client) -> str:
    return str(asked.status()["space"]["stage"])


def _has_given(asked: Client, disk: Path) -> bool:
    """Whether there is room again, or nothing more may go for now.

    What compaction has replaced gives room at first, which is taken away again.
    """
    status = asked.status()
    space = status["space"]
    if not status["retention"].get("rows_by_space"):
        if disk_of(disk).free > SHORT_BYTES and space["stage"] == "plenty":
            _leave(disk, SHORT_BYTES)
        return False
    return bool(space["is_spent"]) or space["stage"] == "plenty"


FAULTS: dict[str, Callable[..., Figures]] = {"brim": brim, "short-of-room": short}
