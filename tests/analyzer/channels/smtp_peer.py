"""An SMTP server on a real socket, with STARTTLS and logins, that can misbehave."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import cast


class SmtpPeer:
    """Keeps the messages that it takes; `replies` are said in place of 250.

    They are by command (`RCPT`, `DATA`, `AUTH`), each a list of what is said first. An
    empty reply closes the connection.
    """

    def __init__(self, certificate: Path | None = None, **replies: list[bytes]) -> None:
        self.replies = replies
        self.messages: list[EmailMessage] = []
        self.logins: list[bytes] = []
        self.encrypted: list[bool] = []
        self._certificate = certificate
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                connection.settimeout(20)
                self._talking = connection
                with suppress(OSError):
                    self._converse(connection)
                self._talking.close()

    def _converse(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        connection.sendall(b"220 peer ESMTP\r\n")
        while line := reader.readline():
            verb = line.split()[0].upper().decode()
            planned = self.replies.get(verb, [])
            reply = planned.pop(0) if planned else None
            if reply == b"":
                return
            if reply is not None:
                connection.sendall(reply + b"\r\n")
            elif verb == "STARTTLS":
                connection.sendall(b"220 go\r\n")
                reader.close()
                connection = self._encrypt(connection)
                reader = connection.makefile("rb")
            elif verb == "DATA":
                connection.sendall(b"354 go\r\n")
                self._take(iter(reader.readline, b".\r\n"))
                self.encrypted.append(isinstance(connection, ssl.SSLSocket))
                connection.sendall(b"250 kept\r\n")
            elif verb == "QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                self._answer(connection, verb, line)

    def _answer(self, connection: socket.socket, verb: str, line: bytes) -> None:
        said = b"250 fine\r\n"
        if verb == "EHLO":
            said = b"250-peer\r\n250-AUTH PLAIN\r\n"
            said += b"250-STARTTLS\r\n" if self._certificate else b""
            said += b"250 8BITMIME\r\n"
        elif verb == "AUTH":
            self.logins.append(b64decode(line.split()[2]))
            said = b"235 welcome\r\n"
        connection.sendall(said)

    def _take(self, lines: Iterator[bytes]) -> None:
        text = b"".join(line.removeprefix(b".") for line in lines)
        message = message_from_bytes(text, policy=policy.default)
        self.messages.append(cast("EmailMessage", message))

    def _encrypt(self, connection: socket.socket) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert self._certificate is not None
        context.load_cert_chain(self._certificate)
        self._talking = context.wrap_socket(connection, server_side=True)
        return self._talking


@contextmanager
def smtp_peer(
    certificate: Path | None = None, **replies: list[bytes]
) -> Iterator[SmtpPeer]:
    """One that runs."""
    peer = SmtpPeer(certificate, **replies)
    try:
        yield peer
    finally:
        peer.close()


def make_certificate(folder: Path) -> Path:
    """A key and a certificate of `localhost` in one file."""
    path = folder / "peer.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(
        (folder / "key.pem").read_text() + (folder / "cert.pem").read_text()
    )
    return path
