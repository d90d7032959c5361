"""What every process does at its edges: stop when asked, say ready, end with `up`.

A process makes one StopSignal with `stop_on_signals()`, gives it to its zmq poller or
event loop (it has a `fileno()`), and leaves its loop when `is_set`.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Final

READY_FD: Final = "PIPELINE_READY_FD"
"""Environment: the pipe on which the supervisor waits for READY."""

SUPERVISOR_PID: Final = "PIPELINE_SUPERVISOR_PID"
"""Environment: the supervisor; grandchildren inherit both and must not answer."""

PREDECESSOR: Final = "PIPELINE_PREDECESSOR"
"""Environment: how the process ended that this one follows, as JSON: name, how,
last_words; the supervisor, which sends nothing itself, has seen it."""

NOTIFY_SOCKET: Final = "NOTIFY_SOCKET"
"""Environment: where systemd wants to be told."""

READY: Final = b"READY"
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
END_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
"""Of processes that read their configuration anew at SIGHUP (`on_hangup`)."""

PARENT_POLL_SECONDS: Final = 1.0


class StopSignal:
    """Asked to stop, or not yet; its descriptor becomes readable when it is."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._set = False
        self._wakes = False

    @property
    def is_set(self) -> bool:
        """Whether the process was asked to stop."""
        return self._set

    def set(self) -> None:
        """Ask for it; from a signal handler, another thread or a test."""
        self._set = True
        with contextlib.suppress(OSError):  # full: it is readable already
            os.write(self._writer, b"\0")

    def fileno(self) -> int:
        """The descriptor to poll for reading; it stays readable."""
        return self._reader

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until asked or `timeout` seconds have passed; whether it was asked."""
        if not self._set:
            select.select([self._reader], [], [], timeout)
        return self._set

    def drain(self) -> None:
        """Forget that other signals have woken it, which would wake it for ever."""
        if not self._set:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, 4096)

    def wake_on_signals(self) -> None:
        """Have the C level write here: a signal wakes a poll in whatever thread."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._wakes = True

    def close(self) -> None:
        """Free the descriptors."""
        if self._wakes:
            signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)


def stop_on_signals(signals: Iterable[signal.Signals] = STOP_SIGNALS) -> StopSignal:
    """A StopSignal that is set by SIGTERM, SIGINT and SIGHUP; main thread only."""
    stop = StopSignal()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in signals:
        # nohup ignores SIGHUP, and must be obeyed; SIGINT is ignored for background
        # jobs of a script, which still have to end when they are told to
        ignored = signal.getsignal(number) is signal.SIG_IGN
        if number is not signal.SIGHUP or not ignored:
            signal.signal(number, handle)
    stop.wake_on_signals()
    return stop


def on_hangup(reload: Callable[[], None], stop: Callable[[], None]) -> None:
    """At SIGHUP call `reload`, or `stop` if the terminal has gone; main thread only.

    nohup is obeyed: who ignores the signal from its start goes on doing so.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return
    had_terminal = _has_terminal()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if had_terminal and not _has_terminal():
            stop()
        else:
            reload()

    signal.signal(signal.SIGHUP, handle)


def _has_terminal() -> bool:
    """Whether the session has one that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def say(text: str) -> None:
    """A line for the operator on stderr; never fails, even if nobody can read it."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - the one place


def notify(state: str) -> None:
    """Tell systemd, or who else has set NOTIFY_SOCKET; as sd_notify(3) says.

    Only the process that it has started: the others don't inherit it from `up`.
    """
    address = os.environ.get(NOTIFY_SOCKET, "")
    if not address.startswith(("/", "@")):
        return
    import socket  # most who load this module are no service of systemd's

    if address.startswith("@"):  # Linux's names without a file
        address = "\0" + address[1:]
    with contextlib.suppress(OSError):
        there = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with there:
            there.sendto(state.encode(), address)


def announce_ready(name: str, detail: str = "") -> None:
    """Tell the operator, and the supervisor if it waits, that the process serves."""
    say(f"{name} ready {detail}".rstrip())
    descriptor = os.environ.pop(READY_FD, None)
    supervisor = os.environ.get(SUPERVISOR_PID)
    if supervisor is None:
        notify("READY=1")
    if descriptor is None or (supervisor and int(supervisor) != os.getppid()):
        return
    with contextlib.suppress(OSError):
        os.write(int(descriptor), READY)
        os.close(int(descriptor))


def die_with_parent(parent: int | None = None) -> None:
    """Get SIGTERM when `parent` dies, however it dies; by default the supervisor.

    Without a supervisor nothing happens: a process started by hand outlives its shell.
    A worker of a process passes that process, since it inherits the environment.
    """
    if parent is None:
        parent = int(os.environ.get(SUPERVISOR_PID, "0"))
    if parent == 0:
        return
    if not _ask_kernel():
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it died before the kernel was asked
        signal.raise_signal(signal.SIGTERM)


def _ask_kernel() -> bool:
    """Whether the kernel (Linux only) will send SIGTERM when the parent dies."""
    if sys.platform != "linux":
        return False
    import ctypes

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG in <linux/prctl.h>
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(set_parent_death_signal, int(signal.SIGTERM)) == 0)


def _watch(parent: int) -> None:
    """Elsewhere than on Linux: look once a second who the parent is."""
    waiting = threading.Event()
    while os.getppid() == parent:
        waiting.wait(PARENT_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def allow_descriptors(number: int) -> None:
    """Raise the limit of this process as far as that takes and the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
