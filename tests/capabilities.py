"""What this machine can do: programs, and what only some users and kernels may.

Each capability is tried, once a process: being root says little inside a container.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final


class Absent(Exception):  # noqa: N818 - not an error: a fault that can't be run here
    """Something that this machine lacks; the text says what."""


def _runs(*words: str) -> str | None:
    """What the command said, or None when it failed."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _has_root() -> bool:
    return os.geteuid() == 0


def _has_netns() -> bool:
    name = f"probe-{os.getpid()}"
    if _runs("ip", "netns", "add", name) is None:
        return False
    try:
        return _runs("ip", "netns", "exec", name, "true") is not None
    finally:
        _runs("ip", "netns", "delete", name)


def _has_loop() -> bool:
    with tempfile.NamedTemporaryFile() as image:
        image.truncate(1 << 20)
        device = _runs("losetup", "--find", "--show", image.name)
        if device is None:
            return False
        return _runs("losetup", "--detach", device) is not None


def _has_tmpfs() -> bool:
    folder = tempfile.mkdtemp()
    try:
        if _runs("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder) is None:
            return False
        return _runs("umount", folder) is not None
    finally:
        Path(folder).rmdir()


PROBES: Final[dict[str, Callable[[], bool]]] = {
    "root": _has_root,
    "netns": _has_netns,
    "loop": _has_loop,
    "tmpfs": _has_tmpfs,
}
"""Capabilities that no program brings."""


@cache
def absent(name: str) -> str | None:
    """Why a capability or a program can't be had; None when it is there."""
    if name in PROBES:
        return None if PROBES[name]() else f"{name} can't be had on this machine"
    if shutil.which(name) is None:
        return f"{name} is absent; `make test-tools` installs it"
    return None


def need(*names: str) -> None:
    """For a fault's own use; raises Absent with the first that is not there."""
    for name in names:
        if (reason := absent(name)) is not None:
            raise Absent(reason)
