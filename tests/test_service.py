"""Stop signals, readiness, and the end together with the parent."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading

import pytest

from pipeline import service


def test_a_stop_signal_is_readable_once_set():
    """A poller that has its descriptor wakes, and keeps waking."""
    stop = service.StopSignal()
    assert select.select([stop], [], [], 0)[0] == []

    stop.set()

    assert stop.is_set
    assert select.select([stop], [], [], 0)[0] == [stop]
    assert stop.wait(timeout=0)
    stop.close()


def test_waiting_ends_without_a_signal_too():
    """The time-out is in seconds."""
    stop = service.StopSignal()

    assert stop.wait(timeout=0) is False
    stop.close()


@pytest.mark.parametrize("number", service.STOP_SIGNALS)
def test_signals_set_it(number):
    """SIGTERM, SIGINT and SIGHUP all mean the same: stop in order."""
    before = signal.getsignal(number)
    stop = service.stop_on_signals([number])
    threading.Timer(0.01, os.kill, (os.getpid(), number)).start()

    assert stop.wait(timeout=10)
    stop.close()
    signal.signal(number, before)


def test_other_signals_wake_it_once():
    """A poll that they woke can sleep again, and is woken when it is asked to stop."""
    before = signal.getsignal(signal.SIGUSR1)
    stop = service.stop_on_signals([])
    try:
        signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.raise_signal(signal.SIGUSR1)
        assert select.select([stop], [], [], 1)[0]
        stop.drain()
        assert not select.select([stop], [], [], 0)[0]
        stop.set()
        stop.drain()
        assert select.select([stop], [], [], 0)[0]
    finally:
        signal.signal(signal.SIGUSR1, before)
        stop.close()


def test_nohup_is_obeyed():
    """A SIGHUP that is ignored from the start stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = service.stop_on_signals()
    kept = signal.getsignal(signal.SIGHUP)
    stop.close()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, before)

    assert kept is signal.SIG_IGN


def test_readiness_is_written_to_the_supervisor(monkeypatch, capsys):
    """READY on the pipe, a line on stderr, and the pipe is closed."""
    reader, writer = os.pipe()
    monkeypatch.setenv(service.READY_FD, str(writer))
    service.announce_ready("gateway", "http://x")

    assert os.read(reader, 64) == service.READY
    assert os.read(reader, 64) == b""
    assert capsys.readouterr().err == "gateway ready http://x\n"
    os.close(reader)


def test_a_grandchild_is_not_who_the_supervisor_waits_for(monkeypatch):
    """It inherits the variables, but its parent is another."""
    reader, writer = os.pipe()
    monkeypatch.setenv(service.READY_FD, str(writer))
    monkeypatch.setenv(service.SUPERVISOR_PID, "1000000000")
    service.announce_ready("query-worker")

    assert select.select([reader], [], [], 0)[0] == []
    os.close(reader)
    os.close(writer)


CHILD = "from pipeline import service; service.die_with_parent({}); print(1, flush=1); "


def test_a_child_ends_when_its_parent_is_killed():
    """Even by SIGKILL, which the parent can't act on."""
    child = CHILD.format("os.getppid()") + "signal.pause()"
    parent = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', "
        f"{'import os, signal; ' + child!r}])"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=-1) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        process.kill()

        assert process.stdout.read() == b""  # its end closes the pipe


def test_a_child_whose_parent_is_gone_already_ends():
    """The parent died before the kernel was asked."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD.format("1000000000")], capture_output=True
    )

    assert ended.returncode == -signal.SIGTERM


def test_without_a_supervisor_a_process_outlives_its_parent():
    """One that was started by hand stays when the shell goes."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD.format("")], capture_output=True
    )

    assert ended.stdout == b"1\n"


def test_saying_something_never_fails(monkeypatch):
    """The terminal may be gone while a process still stops in order."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody:
        monkeypatch.setattr(sys, "stderr", nobody)
        service.say("stopping")
        monkeypatch.undo()
        with pytest.raises(BrokenPipeError):
            nobody.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)
