"""All channels at once: what one of them does is no concern of the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.alerts import Kind
from pipeline.analyzer.channels.config import read_channels
from pipeline.analyzer.channels.lanes import Lanes
from pipeline.entry import Entry
from pipeline.settings.alerts import Channel
from tests.analyzer.channels.peers import (
    DRIP,
    HANG,
    RESET,
    http_peer,
    nobody,
    notice,
    wait_for,
)

SECRETS = {"URL": "", "TOKEN": "S3CR3T"}


@contextmanager
def lanes(*given: str | Channel, **environ: str) -> Iterator[tuple[Lanes, list[Entry]]]:
    """Running lanes, and the entries of what they could not deliver."""
    entries: list[Entry] = []
    made = Lanes(read_channels(given, environ), "http://gateway/", entries.append)
    try:
        yield made, entries
    finally:
        made.close(0.5)


def test_a_dead_channel_delays_no_other(tmp_path: Path) -> None:
    """One hangs, one drips, one resets, one refuses, one is not there; two work."""
    path = tmp_path / "alerts.jsonl"
    with (
        http_peer(*[HANG] * 99) as hangs,
        http_peer(*[DRIP] * 99) as drips,
        http_peer(*[RESET] * 99) as resets,
        http_peer(*[500] * 99) as fails,
        http_peer() as works,
    ):
        dead = [hangs.root, drips.root, resets.root, fails.root, nobody()]
        given = [
            Channel(type="webhook", name=f"dead{n}", url=url, timeout_seconds=30)
            for n, url in enumerate(dead)
        ]
        with lanes(
            *given,
            Channel(type="webhook", url=works.root),
            Channel(type="file", path=str(path)),
        ) as (made, entries):
            for number in range(10):
                made.send(notice(fingerprint=f"f{number}"))
            wait_for(lambda: len(works.bodies) == 10)
            wait_for(lambda: path.exists() and path.read_text().count("\n") == 10)
            wait_for(lambda: made.stats()["file"]["sent"] == 10)
            stats = made.stats()
            # its first attempt takes 30 s
            assert (stats["dead0"]["queued"], stats["dead0"]["retried"]) == (10, 0)
    names = [(entry.metadata or {})["channel"] for entry in entries]

    assert sorted(set(names)) == [f"dead{n}" for n in range(5)]
    assert len(names) == 50, "each that no dead channel took is an entry"


def test_what_fails_for_a_while_is_delivered_all_the_same() -> None:
    """429 with Retry-After, 500 and a reset, then it works: nothing is lost."""
    with (
        http_peer((429, 1), 500, RESET) as peer,
        lanes(Channel(type="webhook", url=peer.root)) as (made, entries),
    ):
        made.send(notice())
        made.send(notice(Kind.RESOLVED))
        wait_for(lambda: made.stats()["webhook"]["sent"] == 2, 40)
        stats = made.stats()["webhook"]
    events = [body["event"] for body in peer.bodies]

    assert events == ["opened"] * 4 + ["resolved"]
    assert (stats["retried"], stats["failed"], entries) == (3, 0, [])
    assert peer.times[1] - peer.times[0] >= 1.0


def test_the_end_wakes_all_channels_at_once() -> None:
    """One that hangs leaves the others their last attempt."""
    with http_peer(HANG) as hangs, http_peer((503, 200)) as fails:
        entries: list[Entry] = []
        urls = {"first": hangs.root, "second": fails.root}
        given = [Channel(type="webhook", name=n, url=u) for n, u in urls.items()]
        made = Lanes(read_channels(given, {}), "", entries.append)
        made.send(notice())
        wait_for(lambda: made.stats()["second"]["retried"] == 1)
        made.close(1.0)

    assert len(fails.bodies) == 2
    assert [(entry.metadata or {})["channel"] for entry in entries] == ["first"]


def test_a_retried_notice_can_be_recognised() -> None:
    """By a header: an answer that was lost is no second alert."""
    with (
        http_peer(500) as peer,
        lanes(Channel(type="webhook", url=peer.root)) as (made, _),
    ):
        made.send(notice())
        wait_for(lambda: len(peer.bodies) == 2)
    first, second = (one["Idempotency-Key"] for one in peer.headers)

    assert first == second


def test_what_is_held_back_is_not_sent() -> None:
    """A silenced alert is stored only."""
    with (
        http_peer() as peer,
        lanes(Channel(type="webhook", url=peer.root)) as (made, _),
    ):
        held = notice(source="silenced")
        made.send(replace(held, send=False))
        made.send(notice())
        wait_for(lambda: peer.bodies)

    assert [body["sources"] for body in peer.bodies] == [["web"]]


def test_a_webhook_gets_the_fields_of_the_event() -> None:
    """And a line for people."""
    with http_peer() as peer:
        headers = {"Authorization": "Bearer ${TOKEN}"}
        given = Channel(type="webhook", url=peer.root + "/hook", headers=headers)
        with lanes(given, TOKEN="S3CR3T") as (made, _):
            made.send(notice())
            wait_for(lambda: peer.bodies)
    (body,) = peer.bodies

    assert (body["event"], body["version"], body["state"]) == ("opened", 1, "open")
    assert body["message"] == "20 errors of web in 300 s"
    assert body["query"] == "source:web level:(error OR fatal)"
    assert peer.headers[0]["Authorization"] == "Bearer S3CR3T"
    assert peer.paths == ["/hook"]


def test_a_file_is_appended_to_across_its_rotation(tmp_path: Path) -> None:
    """By rename or by truncation; a torn line is ended first."""
    path = tmp_path / "alerts.jsonl"
    with lanes(Channel(type="file", path=str(path))) as (made, _):

        def tell(count: int) -> None:
            made.send(notice())
            wait_for(lambda: made.stats()["file"]["sent"] == count)

        tell(1)
        path.rename(tmp_path / "alerts.jsonl.1")
        tell(2)
        path.write_text('{"torn": ')
        tell(3)
    kept = (tmp_path / "alerts.jsonl.1").read_text().splitlines()
    torn, whole = path.read_text().splitlines()

    assert [json.loads(line)["event"] for line in (*kept, whole)] == ["opened"] * 2
    assert torn == '{"torn": '


@pytest.mark.parametrize("turns", [Path.rmdir, lambda at: (at / "a.jsonl").mkdir()])
def test_a_file_that_can_not_be_written_is_said(
    tmp_path: Path, turns: Callable[[Path], None]
) -> None:
    """Its folder went since the start, or it is one itself."""
    place = tmp_path / "alerts"
    place.mkdir()
    path = place / "a.jsonl"
    given = Channel(type="file", path=str(path), give_up_seconds=0.0)
    with lanes(given) as (made, entries):
        turns(place)
        made.send(notice())
        wait_for(lambda: entries)

    assert str(path) in entries[0].message


def test_the_console_has_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    """For each notice, whatever is in its text."""
    with lanes("console") as (made, _):
        made.send(notice(text="20 errors\nof \x1b[2Jweb"))
        made.send(notice(Kind.RESOLVED, text="over"))
        wait_for(lambda: made.stats()["console"]["sent"] == 2)

    said = capfd.readouterr().err
    assert said == "alert: 20 errors of  [2Jweb\nalert: resolved: over\n"


def test_slack_is_told_without_a_mention() -> None:
    """Its three characters are escaped, so that no log line calls everybody."""
    with http_peer() as peer:
        given = Channel(type="slack", url="${URL}")
        with lanes(given, URL=peer.root + "/services/T/B/X") as (made, _):
            made.send(notice(text="<!channel> a & b"))
            wait_for(lambda: peer.bodies)
    (body,) = peer.bodies

    assert body["text"] == "&lt;!channel&gt; a &amp; b"
    assert body["attachments"][0]["color"] == "#d93025"
    assert "query: source:web level:(error OR fatal)" in body["attachments"][0]["text"]


def test_discord_is_told_within_its_limits() -> None:
    """A title of 256 and a description of 4,096 characters at most; no mentions."""
    with http_peer() as peer:
        given = Channel(type="discord", url="${URL}")
        with lanes(given, URL=peer.root) as (made, _):
            made.send(notice(Kind.RESOLVED, text="x" * 9_000, query="y" * 9_000))
            wait_for(lambda: peer.bodies)
    (embed,) = peer.bodies[0]["embeds"]

    assert len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4_096
    assert embed["color"] == 0x188038
    assert peer.bodies[0]["allowed_mentions"] == {"parse": []}
