"""Debian's prometheus-alertmanager takes alerts, and lists those that are open."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from pipeline import clock
from pipeline.alerts import Kind, Sample, with_evidence
from pipeline.analyzer.book import Notice
from pipeline.analyzer.channels.alertmanager import HOLDS_SECONDS, Alertmanager
from pipeline.analyzer.channels.config import read_channels
from pipeline.analyzer.channels.lanes import Lanes
from pipeline.settings.alerts import Channel
from pipeline.timestamp import SECOND, format_timestamp, parse_timestamp
from tests.alerts.made import T0, alert, at
from tests.analyzer.channels.peers import http_peer, notice, wait_for
from tests.ports import free_port

GATEWAY = "http://127.0.0.1:8888/"


class Peer:
    """The program, on a port of its own, alone."""

    def __init__(self, folder: Path) -> None:
        config = folder / "alertmanager.yml"
        config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        port = free_port()
        self.root = f"http://127.0.0.1:{port}"
        self._log = (folder / "log").open("wb")
        self.child = subprocess.Popen(
            [
                "prometheus-alertmanager",
                f"--config.file={config}",
                f"--storage.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stderr=self._log,
        )
        wait_for(self._is_ready)

    def close(self) -> None:
        """End it."""
        self.child.terminate()
        self.child.wait(20)
        self._log.close()

    def _is_ready(self) -> bool:
        assert self.child.poll() is None, "it ended"
        try:
            with urlopen(f"{self.root}/-/ready", timeout=5) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False

    def alerts(self) -> list[dict[str, Any]]:
        """What it lists: those that are not over."""
        with urlopen(f"{self.root}/api/v2/alerts", timeout=10) as reply:
            return list(json.load(reply))


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    """One that runs."""
    made = Peer(tmp_path)
    yield made
    made.close()


def now() -> float:
    """Alertmanager has a clock of its own."""
    return clock.now_ns() / SECOND


def moment(ago: float) -> str:
    """So many seconds before now."""
    return format_timestamp(int((now() - ago) * SECOND))


@pytest.mark.requires_tool("prometheus-alertmanager")
def test_it_lists_an_open_alert_until_it_is_resolved(peer: Peer) -> None:
    """With its labels, since when, and a link that shows the entries."""
    given = Channel(type="alertmanager", url=peer.root + "/")
    began = {"opened": moment(30), "at": moment(30), "since": moment(60)}
    with ExitStack() as stack:
        lanes = Lanes(read_channels([given], {}), GATEWAY, lambda _: None)
        stack.callback(lanes.close)
        lanes.send(notice(**began))
        wait_for(peer.alerts)
        (listed,) = peer.alerts()
        lanes.send(notice(Kind.RESOLVED, **{**began, "resolved": moment(0)}))
        wait_for(lambda: not peer.alerts())

    assert listed["labels"] == {
        "alertname": "error_spike",
        "fingerprint": alert().fingerprint,
        "severity": "error",
        "source": "web",
    }
    assert listed["annotations"]["summary"] == "20 errors of web in 300 s"
    assert listed["startsAt"][:19] == began["opened"][:19]
    assert listed["generatorURL"].startswith(GATEWAY + "export?since=20")
    assert listed["status"]["state"] in ("active", "unprocessed")


@pytest.mark.requires_tool("prometheus-alertmanager")
def test_it_hears_of_what_was_open_before_a_restart(peer: Peer) -> None:
    """Of ours, with the first repetition; the same alert is no second one."""
    given = read_channels([Channel(type="alertmanager", url=peer.root)], {})
    began = alert(opened=moment(30), at=moment(30))
    lanes = Lanes(given, GATEWAY, lambda _: None)
    lanes.send(Notice(Kind.OPENED, began, now(), send=True))
    wait_for(peer.alerts)
    lanes.close()
    after = Lanes(given, GATEWAY, lambda _: None)
    after.resume([began])
    wait_for(lambda: after.stats()["alertmanager"]["repeated"])
    after.close()

    assert len(peer.alerts()) == 1


@pytest.mark.requires_tool("prometheus-alertmanager")
def test_it_takes_whatever_a_log_line_holds(peer: Peer) -> None:
    """Labels and annotations with quotes, newlines and any characters; a group."""
    sample = Sample("id", at(0), "w", "ERROR", 'a "b" \n\x1b é \N{FIRE} {{ x }}')
    odd = notice(source='w"é\n\N{FIRE}', text="{{ .Labels }} %s", opened=moment(9))
    shown = with_evidence(odd.alert, [sample], [])
    group = notice(detector="group", fingerprint="0" * 16, opened=moment(9)).alert
    channel = Alertmanager(peer.root, {}, 10.0, GATEWAY)
    for one in (shown, group):
        channel.deliver(Notice(Kind.OPENED, one, now(), send=True), now())

    names = {one["labels"]["alertname"]: one for one in peer.alerts()}
    assert names["error_spike"]["labels"]["source"] == 'w"é\n\N{FIRE}'
    assert "source" not in names["group"]["labels"]


def test_what_is_open_holds_longer_than_it_is_repeated() -> None:
    """Three posts may fail before it would be taken for over."""
    with http_peer() as peer:
        channel = Alertmanager(peer.root, {}, 10.0, GATEWAY)
        channel.repeat([notice()], T0)
    (said,) = peer.bodies[0]

    assert peer.paths == ["/api/v2/alerts"]
    ends = parse_timestamp(said["endsAt"], 0) / SECOND
    assert ends - T0 == HOLDS_SECONDS > 3 * channel.repeat_seconds


def test_an_alert_is_known_by_the_same_labels_when_it_gets_worse() -> None:
    """Else it would be two there, and one of them never resolved."""
    with http_peer() as peer:
        channel = Alertmanager(peer.root, {}, 10.0, GATEWAY)
        channel.deliver(notice(), T0)
        channel.deliver(notice(Kind.UPDATED, level=21), T0)
        channel.deliver(notice(Kind.RESOLVED, level=21), T0)
    labels = [body[0]["labels"] for body in peer.bodies]

    assert labels[0] == labels[1] == labels[2]
    assert peer.bodies[2][0]["endsAt"] == at(60)
