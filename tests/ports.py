"""Ports of this machine for programs that are told theirs."""

from __future__ import annotations

import socket
from typing import Final

_HELD: Final[list[socket.socket]] = []


def free_port() -> int:
    """A TCP port that nobody else is given while this process runs.

    Its socket is bound and never listens: by SO_REUSEADDR a program can have the port,
    and the kernel picks it for no one who leaves the choice to it.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _HELD.append(holder)
    return int(holder.getsockname()[1])
