"""E-mail: one message for each notice; those of an incident are one thread."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final

from pipeline.analyzer.book import Notice
from pipeline.analyzer.channels.channel import Undelivered
from pipeline.analyzer.channels.watchdog import Watchdog
from pipeline.analyzer.channels.wording import lines, title
from pipeline.settings.alerts import Channel

PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}


class Email:
    """Talks to one SMTP server."""

    repeat_seconds = None

    def __init__(self, settings: Channel) -> None:
        self._settings = settings
        self._port = settings.port or PORTS[settings.encryption]
        self._shown = f"{settings.host}:{self._port}"

    def deliver(self, notice: Notice, now: float) -> None:
        """One conversation; raises Undelivered."""
        message = self._message(notice, now)
        smtp = self._client()
        watchdog = Watchdog(self._settings.timeout_seconds * 2, lambda: smtp.sock)
        try:
            with watchdog:
                refused = self._converse(smtp, message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise self._failed("no recipient is accepted", min(codes)) from None
        except smtplib.SMTPResponseException as error:
            raise self._failed("the server refuses", error.smtp_code) from None
        except smtplib.SMTPNotSupportedError:
            raise self._failed("the server can't encrypt or log in") from None
        except ssl.SSLCertVerificationError as error:
            problem = f"certificate: {error.verify_message}"
            raise Undelivered(f"{self._shown}: {problem}") from None
        except OSError as error:  # those of smtplib too
            late = watchdog.fired or isinstance(error, TimeoutError)
            broken = error.strerror or "the connection broke"
            said = "no answer in time" if late else broken
            raise Undelivered(f"{self._shown}: {said}") from None
        finally:
            smtp.close()
        if refused:
            problem = f"{len(refused)} of {len(self._settings.to)} recipients refused"
            raise Undelivered(f"{self._shown}: {problem}", again=False)

    def repeat(self, notices: list[Notice], now: float) -> None:
        """Never asked for."""

    def _client(self) -> smtplib.SMTP:
        timeout = self._settings.timeout_seconds
        if self._settings.encryption == "tls":
            context = ssl.create_default_context()
            client: smtplib.SMTP = smtplib.SMTP_SSL(timeout=timeout, context=context)
        else:
            client = smtplib.SMTP(timeout=timeout)
        # without a host it does not connect yet, and TLS would not know whom to expect
        client._host = self._settings.host  # type: ignore[attr-defined]  # noqa: SLF001
        return client

    def _converse(
        self, smtp: smtplib.SMTP, message: EmailMessage
    ) -> dict[str, tuple[int, bytes]]:
        settings = self._settings
        code, _ = smtp.connect(settings.host, self._port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, b"")
        if settings.encryption == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        if settings.user:
            smtp.login(settings.user, settings.password)
        refused = smtp.send_message(message)
        try:
            smtp.quit()
        except (OSError, smtplib.SMTPException):
            return refused  # it has the message
        return refused

    def _failed(self, problem: str, code: int = 550) -> Undelivered:
        """Replies of the 4xx pass, and those of the 5xx don't."""
        return Undelivered(f"{self._shown}: {problem} ({code})", again=code < 500)

    def _message(self, notice: Notice, now: float) -> EmailMessage:
        alert = notice.alert
        incident = f"{alert.fingerprint}.{alert.opened}".replace(":", "")
        message = EmailMessage()
        message["Subject"] = title(notice)
        message["From"] = self._settings.sender
        message["To"] = ", ".join(self._settings.to)
        message["Date"] = formatdate(now)
        message["Message-ID"] = f"<{incident}.{notice.kind}.{now:.0f}@pipeline>"
        message["References"] = f"<{incident}@pipeline>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n".join(_plain(line) for line in lines(notice)) + "\n")
        return message


def _plain(line: str) -> str:
    """Without what a terminal or a mail server would obey."""
    return "".join(c if c.isprintable() else " " for c in line)
