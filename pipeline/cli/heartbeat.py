"""What `up` tells systemd: that it serves, that it stops, and that it still lives.

A heartbeat is said while the gateway answers that entries are stored and questions
answered, and for five minutes after: a pipeline that is stuck is restarted as a whole
(`WatchdogSec=` in config/deploy/systemd). Until then its own restarts are tried, and a
damaged database may be salvaged. Without systemd nothing of this is done.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from pipeline import service

PATIENCE_SECONDS: Final = 300.0
"""How long it may be unwell: it restarts what has died by itself."""

ANSWER_SECONDS: Final = 1.0
BEATS: Final = 3
"""In the time after which systemd gives up: two may be missed."""

UNREADY: Final = b"503"


FOR_ONE: Final = (service.NOTIFY_SOCKET, "WATCHDOG_USEC", "WATCHDOG_PID")
"""Environment that is meant for the process that systemd has started."""


class Heartbeat:
    """Tells systemd how it goes, if systemd has asked for it."""

    def __init__(
        self, environ: Mapping[str, str], gateway: tuple[str, int] | None
    ) -> None:
        """`gateway` is where it listens; None: there is none."""
        self._gateway = gateway
        self._interval = _interval(environ)
        self._next = 0.0
        self._well = 0.0

    def begin(self, now: float) -> None:
        """All processes serve."""
        service.notify("READY=1\nSTATUS=serving")
        self._next = self._well = now

    def due(self) -> float | None:
        """When the next one is; None: never."""
        return self._next if self._interval is not None and self._next else None

    def beat(self, now: float) -> None:
        """Say that it lives if it is time, and true."""
        due = self.due()
        if due is None or now < due or self._interval is None:
            return
        self._next = now + self._interval
        if self._gateway is None or _is_well(*self._gateway):
            self._well = now
        if now - self._well < PATIENCE_SECONDS:
            service.notify("WATCHDOG=1")
        else:
            service.notify("STATUS=the gateway does not answer, or says 503")

    def end(self) -> None:
        """It stops, which may take a while."""
        self._next = 0.0
        service.notify("STOPPING=1\nSTATUS=storing what is on its way")


def _interval(environ: Mapping[str, str]) -> float | None:
    """Seconds between two heartbeats, as systemd wants them; sd_watchdog_enabled(3)."""
    whose = environ.get("WATCHDOG_PID", "")
    micros = environ.get("WATCHDOG_USEC", "")
    if not micros.isdecimal() or (whose and whose != str(os.getpid())):
        return None
    return int(micros) / 1e6 / BEATS or None


def _is_well(host: str, port: int) -> bool:
    """Whether the gateway answers, and entries are stored and questions answered."""
    request = f"GET /health/ready HTTP/1.0\r\nHost: localhost:{port}\r\n\r\n"
    with suppress(OSError), socket.create_connection((host, port), ANSWER_SECONDS) as s:
        s.sendall(request.encode())
        status = s.recv(64).split(b" ")[1:2]
        return bool(status) and status != [UNREADY]
    return False
