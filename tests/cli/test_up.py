"""`pipeline up` with real processes: restarts, readiness, order, and every end."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.cli.child import Child
from pipeline.cli.procfile import Program
from pipeline.cli.up import where_to_look
from pipeline.settings import load

DEADLINE_SECONDS = 20

CHILD = """\
import os, signal, sys, time
from pipeline import service
service.die_with_parent()
stop = service.stop_on_signals()
name, *how = sys.argv[1:]
print("hello from", name, os.getpid(), flush=True)
if "told" in how:
    print("told", os.environ.get(service.PREDECESSOR), flush=True)
if "broken" in how:
    sys.exit("no such luck")
stop.wait()
if "stubborn" in how:
    time.sleep(3600)
print("bye from", name, flush=True)
"""


class Up:
    """A running `pipeline up`, read line by line."""

    def __init__(self, folder: Path, lines: dict[str, str], *options: str) -> None:
        (folder / "child.py").write_text(CHILD)
        (folder / "P").write_text(
            "".join(f"{name}: {command}\n" for name, command in lines.items())
        )
        words = [sys.executable, "-m", "pipeline", "up", "--procfile", "P", *options]
        self.process = subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.seen = b""
        self._read = b""

    def expect(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches; the match."""
        until = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < until:
            line = self._line(until)
            self.seen += line
            if match := re.search(pattern, line.decode()):
                return match
            if not line:
                break
        pytest.fail(f"{pattern!r} did not come:\n{self.seen.decode()}")

    def _line(self, until: float) -> bytes:
        """The next line, or what there is of it at the end."""
        assert self.process.stdout is not None
        output = self.process.stdout.fileno()
        while b"\n" not in self._read:
            left = max(0.0, until - time.monotonic())
            more = select.select([output], [], [], left)[0] and os.read(output, 4096)
            if not more:
                line, self._read = self._read, b""
                return line
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line + b"\n"

    def expect_all(self, *patterns: str) -> None:
        """Read on until each pattern has had its line, in whatever order."""
        waiting = list(patterns)
        while waiting:
            line = self.expect("|".join(waiting)).string
            waiting = [pattern for pattern in waiting if not re.search(pattern, line)]

    def finish(self) -> tuple[int, list[str]]:
        """Wait for the end: exit code, and the lines that came until then."""
        rest, _ = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, (self._read + rest).decode().splitlines()


Start = Callable[..., Up]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `up` with a Procfile of these lines; it is ended after the test."""
    started: list[Up] = []

    def _start(lines: dict[str, str], *options: str) -> Up:
        started.append(Up(tmp_path, lines, *options))
        return started[-1]

    yield _start
    for up in started:
        up.process.kill()
        up.process.communicate()


def child(name: str, how: str = "") -> str:
    """A line of a Procfile: a process that says hello and bye."""
    return f"python child.py {name} {how}"


COLLECTOR = "python -m pipeline collect"


def test_it_says_where_to_look_once_all_are_ready(start):
    """One line, after the last process has said that it serves."""
    up = start({"a": COLLECTOR, "b": COLLECTOR}, "--port", "1234")
    up.expect(r"^up +\| ready: http://localhost:1234, ingest tcp://127.0.0.1:5555")

    assert up.seen.count(b"collector ready") == 2


def test_the_address_is_one_that_can_be_opened():
    """All addresses are shown as localhost; IPv6 gets its brackets."""
    with_tokens = {"authentication.enabled": True}  # else none of them is allowed
    shown = [
        where_to_look(load(None, {}, with_tokens | {"server.host": host}))[0]
        for host in ("0.0.0.0", "::", "10.0.0.1", "fe80::1")
    ]

    assert [line.split(",")[0] for line in shown] == [
        "ready: http://localhost:8888",
        "ready: http://localhost:8888",
        "ready: http://10.0.0.1:8888",
        "ready: http://[fe80::1]:8888",
    ]


def test_flags_reach_the_processes(start, tmp_path):
    """Each is started with the options of `up`."""
    (tmp_path / "c.yaml").write_text("server: {port: 77}\n")
    up = start({"a": COLLECTOR}, "--config=c.yaml", "--host=::1")
    up.expect("ready: http://localhost:77")
    children = f"/proc/{up.process.pid}/task/{up.process.pid}/children"
    pid = Path(children).read_text().split()[0]
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")

    assert words[1:-1] == [
        *("-m", "pipeline", "collect"),
        *("--config=c.yaml", "--host=::1"),
    ]


def test_a_killed_process_is_started_again(start):
    """By SIGKILL, while the others go on; the new one is told of it."""
    up = start({"a": child("a", "told"), "b": child("b")})
    up.expect_all("hello from a", "hello from b")
    found = re.search(rb"hello from a (\d+)", up.seen)
    assert found is not None
    pid = int(found[1])
    os.kill(pid, signal.SIGKILL)

    up.expect(r"up \| a was ended by SIGKILL; again in 0.1 s")
    assert int(up.expect(r"hello from a (\d+)")[1]) != pid
    told = json.loads(up.expect("told (.*)")[1])
    assert (told["name"], told["how"]) == ("a", "was ended by SIGKILL")
    assert told["last_words"][0] == f"hello from a {pid}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_reverse_order(start, number):
    """What sends stops before what receives; all had the time to say bye."""
    names = ["store", "watch", "serve"]
    up = start({name: child(name) for name in names})
    up.expect_all(*(f"hello from {name}" for name in names))
    up.process.send_signal(number)
    code, lines = up.finish()

    byes = [line.split()[-1] for line in lines if "bye" in line]
    assert (code, byes) == (0, ["serve", "watch", "store"])


def test_a_last_line_that_is_read_with_the_end_is_one_line():
    """A child that has ended meanwhile; nothing stands behind its last line."""
    one = Child(Program("a", ("echo", "bye")), [])
    one.start(os.environ, 0.0)
    while one.poll() is None:
        time.sleep(0.01)

    assert one.read_lines() == (["bye"], False)
    one.ended()


def test_a_hangup_ends_nothing(start):
    """The pipeline's own processes read their configuration, others hear nothing."""
    up = start({"a": child("a")})
    up.expect("hello from a")
    up.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)  # time to be wrong in
    up.process.terminate()
    code, lines = up.finish()

    assert code == 0
    assert [line.split("| ")[1] for line in lines[-1:]] == ["bye from a"]
    assert not any("was ended" in line for line in lines)


def test_one_that_does_not_stop_is_killed(start):
    """After its time is over; the others still stop in order."""
    up = start({"a": child("a"), "b": child("b", "stubborn")}, "--grace-seconds", "0.2")
    up.expect_all("hello from a", "hello from b")
    up.process.terminate()
    code, lines = up.finish()

    assert code == 1
    assert [line.split("| ")[1] for line in lines[-2:]] == ["b is killed", "bye from a"]


def test_a_second_ctrl_c_ends_at_once(start):
    """No waiting for what does not stop."""
    up = start({"a": child("a", "stubborn")}, "--grace-seconds", "3600")
    up.expect("hello from a")
    up.process.send_signal(signal.SIGINT)
    until = time.monotonic() + DEADLINE_SECONDS
    while up.process.poll() is None and time.monotonic() < until:
        time.sleep(0.2)
        up.process.send_signal(signal.SIGINT)

    # a late one may meet an interpreter that is ending already
    assert up.finish()[0] in (1, -signal.SIGINT)


def test_all_end_when_it_is_killed(start):
    """Even by SIGKILL, which it can't pass on."""
    up = start({"a": child("a"), "b": COLLECTOR})
    up.expect_all("hello from a", "collector ready")
    children = f"/proc/{up.process.pid}/task/{up.process.pid}/children"
    pids = [int(pid) for pid in Path(children).read_text().split()]
    up.process.kill()

    until = time.monotonic() + DEADLINE_SECONDS
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert len(pids) == 2


def test_it_stops_when_the_program_that_holds_its_input_ends(start):
    """In order, as if asked by a signal; without the option nothing is read."""
    up = start({"a": child("a"), "b": child("b")}, "--stop-at-eof")
    up.expect_all("hello from a", "hello from b")
    assert up.process.stdin is not None
    up.process.stdin.write(b"not the end\n")
    code, lines = up.finish()  # closes its input

    assert (code, lines) == (0, ["b  | bye from b", "a  | bye from a"])


def test_it_stops_at_once_when_nobody_holds_its_input(start, tmp_path):
    """A file has no other end."""
    up = start({"a": child("a")})
    words = [*up.process.args, "--stop-at-eof"]
    done = subprocess.run(words, cwd=tmp_path, stdin=subprocess.DEVNULL, check=False)

    assert done.returncode == 0


def test_the_gateway_does_not_wait_for_those_before_it(start):
    """Its start takes longest; the others wait until all before them serve."""
    gateway = "python -m pipeline gateway --port=x"
    broken = "python -m pipeline ingester --port=y"
    up = start({"a": broken, "b": gateway, "c": child("c")})
    _, lines = up.finish()

    assert any("'x' is a text" in line for line in lines)
    assert not any("hello from c" in line for line in lines)


def test_one_that_never_starts_is_given_up_with_its_last_words(start):
    """A wrong setting or a taken port doesn't heal; what runs is stopped in order."""
    up = start({"a": child("a"), "b": "python -m pipeline ingester --port=x"})
    code, lines = up.finish()

    assert code == 1
    assert "a  | bye from a" in lines
    assert lines[-1] == (
        "pipeline up: b does not start: pipeline ingester: server.port: 'x' is a text "
        "(flag --port); expected a whole number from 0 to 65535, like 8888"
    )


def test_a_program_that_is_not_there_is_named(start):
    """The other processes are stopped first."""
    up = start({"a": child("a"), "b": "no-such-program"})
    code, lines = up.finish()

    assert code == 2
    assert lines[-1].startswith("pipeline up: Procfile, b: ")


def test_it_stays_small(start):
    """At most 50 MB is allowed; the standard library alone takes less than half."""
    up = start({"a": COLLECTOR})
    up.expect("ready: http")
    status = Path(f"/proc/{up.process.pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+) kB", status)

    assert match
    assert int(match[1]) < 25_000


def test_long_and_unfinished_lines_come_through(start, tmp_path):
    """In parts of a bounded length; the last one when the process ends."""
    (tmp_path / "talk.py").write_text("print('z' * 1_000_000, end='')\n")
    up = start({"a": "python talk.py"})
    up.expect("a ended with exit code 0")

    assert up.seen.count(b"z") == 1_000_000
    assert max(map(len, up.seen.splitlines())) < 200_000
