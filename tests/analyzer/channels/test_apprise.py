"""Apprise delivers to whatever its URLs name; here to a local JSON endpoint."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.alerts import Kind
from pipeline.analyzer.channels import apprise
from pipeline.analyzer.channels.channel import Undelivered
from pipeline.analyzer.channels.config import read_channels
from pipeline.analyzer.channels.lanes import Lanes
from pipeline.errors import ConfigError
from pipeline.settings.alerts import Channel
from tests.alerts.made import T0
from tests.analyzer.channels.peers import http_peer, nobody, notice, wait_for

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own

GIVEN = Channel(type="apprise", url="${URL}")


def test_a_notice_arrives() -> None:
    """With its title, its lines, and what kind it is."""
    pytest.importorskip("apprise")
    with http_peer() as peer:
        url = peer.root.replace("http://", "json://")
        lanes = Lanes(read_channels([GIVEN], {"URL": url}), "", lambda _: None)
        lanes.send(notice())
        lanes.send(notice(Kind.RESOLVED))
        wait_for(lambda: len(peer.bodies) == 2)
        lanes.close()
    opened, resolved = peer.bodies

    assert opened["title"] == "20 errors of web in 300 s"
    assert "query: source:web level:(error OR fatal)" in opened["message"]
    assert (opened["type"], resolved["type"]) == ("failure", "success")


def test_what_it_can_not_deliver_is_said_without_its_url(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It may pass; nothing of the URL but its scheme is shown anywhere."""
    pytest.importorskip("apprise")
    url = nobody().replace("http://", "json://ann:S3CR3T@")
    with pytest.raises(Undelivered) as raised:
        apprise.Apprise("ops", url, 2.0).deliver(notice(), T0)

    assert raised.value.problem == "apprise could not deliver to json://"
    assert raised.value.again
    assert capfd.readouterr().err == ""


def test_a_url_that_it_does_not_know_is_refused() -> None:
    """It will not know it later either."""
    pytest.importorskip("apprise")
    with pytest.raises(Undelivered, match="knows no such URL") as raised:
        apprise.Apprise("ops", "nosuch://S3CR3T", 2.0).deliver(notice(), T0)

    assert not raised.value.again
    assert "S3CR3T" not in str(raised.value)


def test_without_the_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the configuration is read, not with the first alert."""
    monkeypatch.setattr(apprise, "find_spec", lambda _: None)

    with pytest.raises(ConfigError, match=r"recursive-log-pipeline\[alerts\]"):
        Lanes(read_channels([GIVEN], {"URL": "json://h"}), "", lambda _: None)


def test_it_is_loaded_with_the_first_notice() -> None:
    """An analyzer without it must not pay for it, nor one that has nothing to tell."""
    program = (
        "import sys\n"
        "from pipeline.analyzer.channels.lanes import make_channel\n"
        "from pipeline.settings.alerts import Channel\n"
        "for kind in ('console', 'file', 'apprise'):\n"
        "    make_channel(Channel(type=kind, name='a', url='json://h'), '')\n"
        "heavy = {'apprise', 'requests', 'asyncio', 'smtplib', 'http.client', 'ssl'}\n"
        "print(*heavy & set(sys.modules))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ended.stdout == "\n"
