"""E-mail, by real conversations with an SMTP server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.alerts import Kind, Sample, with_evidence
from pipeline.analyzer.channels.channel import Undelivered
from pipeline.analyzer.channels.email import Email
from pipeline.settings.alerts import Channel
from tests.alerts.made import T0, at
from tests.analyzer.channels.peers import nobody, notice
from tests.analyzer.channels.smtp_peer import SmtpPeer, make_certificate, smtp_peer

PLAIN = Channel(
    type="email",
    name="mail",
    host="localhost",
    encryption="none",
    sender="pipeline@example.org",
    to=("ann@example.org", "bob@example.org"),
    timeout_seconds=5.0,
)


def email(peer: SmtpPeer, **changes: object) -> Email:
    """A channel to it."""
    return Email(replace(PLAIN, port=peer.port, **changes))  # type: ignore[arg-type]


def test_a_message_says_it_all() -> None:
    """Whatever is in the entries behind it, dots at a line's start included."""
    told = notice(text="20 errors of wéb\r\nBcc: eve@example.org")
    sample = Sample("id", at(0), "web", "ERROR", "line\n.\n.. broken\x1b[2J")
    told = replace(told, alert=with_evidence(told.alert, [sample], []))
    with smtp_peer() as peer:
        email(peer).deliver(told, T0)
    (message,) = peer.messages

    assert message["Subject"] == "20 errors of wéb  Bcc: eve@example.org"
    assert message["To"] == "ann@example.org, bob@example.org"
    assert message["Bcc"] is None
    body = message.get_content()
    assert "line . .. broken [2J" in body
    assert "query: source:web level:(error OR fatal)" in body


def test_notices_of_an_incident_are_one_thread() -> None:
    """By their references; each is a message of its own."""
    with smtp_peer() as peer:
        channel = email(peer)
        channel.deliver(notice(), T0)
        channel.deliver(notice(Kind.RESOLVED), T0 + 60.0)
    first, second = peer.messages

    assert first["References"] == second["References"]
    assert first["Message-ID"] != second["Message-ID"]
    assert second["Subject"].startswith("resolved: ")


@pytest.mark.requires_tool("openssl")
def test_the_password_goes_through_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STARTTLS, with a certificate that is trusted; then the login."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with smtp_peer(certificate) as peer:
        channel = email(peer, encryption="starttls", user="ann", password="S3CR3T")
        channel.deliver(notice(), T0)

    assert peer.logins == [b"\0ann\0S3CR3T"]
    assert peer.encrypted == [True]


@pytest.mark.requires_tool("openssl")
def test_a_certificate_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    """Before the login."""
    with smtp_peer(make_certificate(tmp_path)) as peer:
        channel = email(peer, encryption="starttls", user="ann", password="S3CR3T")
        with pytest.raises(Undelivered, match="certificate: self-signed"):
            channel.deliver(notice(), T0)

    assert (peer.logins, peer.messages) == ([], [])


def test_a_server_without_tls_gets_no_password() -> None:
    """It would go through an open line."""
    with smtp_peer() as peer:
        channel = email(peer, encryption="starttls", user="ann", password="S3CR3T")
        with pytest.raises(Undelivered, match="can't encrypt") as raised:
            channel.deliver(notice(), T0)

    assert not raised.value.again
    assert peer.logins == []


@pytest.mark.parametrize(
    ("verb", "reply", "problem", "again"),
    [
        ("RCPT", b"451 greylisted", "no recipient is accepted (451)", True),
        ("RCPT", b"550 S3CR3T", "no recipient is accepted (550)", False),
        ("MAIL", b"421 later", "the server refuses (421)", True),
        ("DATA", b"554 spam S3CR3T", "the server refuses (554)", False),
        ("AUTH", b"535 S3CR3T is wrong", "the server refuses (535)", False),
        ("DATA", b"", "the connection broke", True),
    ],
)
def test_what_passes_is_tried_again(
    verb: str, reply: bytes, problem: str, again: bool
) -> None:
    """4xx may, 5xx does not; nothing that the server says is repeated."""
    with smtp_peer(**{verb: [reply] * 9}) as peer:
        channel = email(peer, user="ann", password="S3CR3T")
        with pytest.raises(Undelivered) as raised:
            channel.deliver(notice(), T0)

    assert raised.value.problem == f"localhost:{peer.port}: {problem}"
    assert raised.value.again is again


def test_a_recipient_who_is_refused_is_said() -> None:
    """The others have the message, which is not sent again."""
    refused = pytest.raises(Undelivered, match="1 of 2 recipients")
    with smtp_peer(RCPT=[b"550 who?"]) as peer, refused as raised:
        email(peer).deliver(notice(), T0)

    assert not raised.value.again
    assert len(peer.messages) == 1


def test_nobody_listens() -> None:
    """That may pass."""
    port = int(nobody().rpartition(":")[2].partition("/")[0])
    channel = Email(replace(PLAIN, host="127.0.0.1", port=port))

    with pytest.raises(Undelivered, match="Connection refused") as raised:
        channel.deliver(notice(), T0)
    assert raised.value.again
