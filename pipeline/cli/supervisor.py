"""Starts the processes in order, restarts the ones that die, stops them in reverse.

One thread and one selector: signals, the children's output and their readiness. A later
process sends to the earlier ones, so stopping in reverse loses nothing on the way.
"""

from __future__ import annotations

import os
import selectors
import signal
from collections.abc import Callable, Mapping
from typing import Final

from pipeline import clock, service
from pipeline.cli.child import Child
from pipeline.cli.heartbeat import Heartbeat
from pipeline.errors import PipelineError

PATIENCE_SECONDS: Final = 10.0
"""How long the next process waits for those before it to be ready at the start."""

SAME_CTRL_C_SECONDS: Final = 0.5
"""Signals this close together are one: `timeout` and make both pass theirs on."""

Printer = Callable[[str, str], None]
"""Prints a line of a process: its name, the line."""


class Wakeup:
    """Signals as a descriptor to poll; counts what was asked."""

    def __init__(self) -> None:
        self.stop = False
        self.is_hung_up = False
        self.interrupts = 0
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        for number in (*service.END_SIGNALS, signal.SIGCHLD):
            signal.signal(number, self._take)
        service.on_hangup(self._hang_up, self._end)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def _take(self, number: int, _frame: object) -> None:
        self.stop |= number != signal.SIGCHLD
        self.interrupts += number == signal.SIGINT

    def _hang_up(self) -> None:
        self.is_hung_up = True

    def _end(self) -> None:
        self.stop = True

    def fileno(self) -> int:
        """The descriptor to poll for reading."""
        return self._reader

    def drain(self) -> None:
        """Make it unreadable until the next signal."""
        os.read(self._reader, 4096)


class Supervisor:
    """Runs the children until asked to stop, or one of them can't be started."""

    def __init__(
        self,
        children: list[Child],
        environ: Mapping[str, str],
        show: Printer,
        *,
        on_ready: Callable[[], None],
        grace_seconds: float,
        heartbeat: Heartbeat,
        until: int | None = None,
    ) -> None:
        self._children = children
        self._environ = environ
        self._show = show
        self._on_ready = on_ready
        self._grace_seconds = grace_seconds
        self._heartbeat = heartbeat
        self._announced = False
        self._wakeup = Wakeup()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wakeup, selectors.EVENT_READ, self._wakeup.drain)
        if until is not None:
            self._stop_at_end_of(until)

    def run(self) -> int:
        """Serve until a signal; 0 when all ended by themselves after being asked."""
        try:
            while not self._wakeup.stop:
                self._start(clock.monotonic())
                self._announce()
                self._heartbeat.beat(clock.monotonic())
                self._pump(self._next_wake(clock.monotonic()))
                self._reap(clock.monotonic())
                self._pass_on_hangup()
        finally:
            self._heartbeat.end()
            clean = self._stop()
        return 0 if clean else 1

    def _pass_on_hangup(self) -> None:
        """Have the pipeline's own processes read their configuration anew."""
        if self._wakeup.is_hung_up:
            self._wakeup.is_hung_up = False
            for child in self._children:
                child.hang_up()

    def _stop_at_end_of(self, descriptor: int) -> None:
        """Stop when the other end of a pipe is gone, as if asked by a signal."""

        def read() -> None:
            if not os.read(descriptor, 4096):
                self._forget(descriptor)
                self._wakeup.stop = True

        try:
            self._selector.register(descriptor, selectors.EVENT_READ, read)
        except PermissionError:  # a file, or /dev/null: nobody holds the other end
            self._wakeup.stop = True

    def _start(self, now: float) -> None:
        """Start what is due; at first most wait until all before them serve."""
        is_early = False
        for child in self._children:
            may_start = child.program.starts_early or not is_early
            if may_start and not child.running and child.due <= now:
                child.start(self._environ, now)
                self._watch(child)
            waited = child.started and now >= child.started + PATIENCE_SECONDS
            is_early |= not child.backoff.served and not waited

    def _watch(self, child: Child) -> None:
        def output() -> None:
            _, more = self._show_output(child)
            if not more:
                self._forget(child.output_fd)

        def ready() -> None:
            self._forget(child.ready_fd)
            child.read_ready()

        self._selector.register(child.output_fd, selectors.EVENT_READ, output)
        self._selector.register(child.ready_fd, selectors.EVENT_READ, ready)

    def _announce(self) -> None:
        if not self._announced and all(child.ready for child in self._children):
            self._announced = True
            self._on_ready()
            self._heartbeat.begin(clock.monotonic())

    def _next_wake(self, now: float) -> float | None:
        """Seconds until something is due; None: only an event can be next."""
        due = [child.due for child in self._children if not child.running]
        beat = self._heartbeat.due()
        due += [] if beat is None else [beat]
        if not all(child.backoff.served for child in self._children):
            due += [child.started + PATIENCE_SECONDS for child in self._children]
        coming = [moment - now for moment in due if moment > now]
        return min(coming, default=None)

    def _pump(self, timeout: float | None) -> None:
        for key, _ in self._selector.select(timeout):
            if key.fd in self._selector.get_map():
                key.data()

    def _reap(self, now: float) -> None:
        for child in self._children:
            code = child.poll()
            if code is None:
                continue
            self._end(child)
            delay = child.backoff.died(now - child.started)
            if delay is None:
                last = child.last_words[-1] if child.last_words else _ending(code)
                raise PipelineError(f"{child.name} does not start: {last}")
            child.ending = _ending(code)
            self._show("up", f"{child.name} {child.ending}; again in {delay:g} s")
            child.due = now + delay

    def _end(self, child: Child) -> None:
        """Show what it still had to say, and forget its process."""
        lines = [""]
        while lines:
            lines, _ = self._show_output(child)
        self._forget(child.output_fd)
        self._forget(child.ready_fd)
        child.ended()

    def _show_output(self, child: Child) -> tuple[list[str], bool]:
        """Show the lines that wait; them, and whether more may come."""
        lines, more = child.read_lines()
        for line in lines:
            self._show(child.name, line)
        return lines, more

    def _forget(self, descriptor: int) -> None:
        if descriptor >= 0 and descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def _stop(self) -> bool:
        """Stop in reverse order; whether none had to be killed."""
        clean = True
        began = clock.monotonic()
        interrupts = self._wakeup.interrupts
        for child in reversed(self._children):
            child.terminate()
            deadline = clock.monotonic() + self._grace_seconds
            while child.running:
                now = clock.monotonic()
                if now < began + SAME_CTRL_C_SECONDS:
                    interrupts = self._wakeup.interrupts
                if now >= deadline or self._wakeup.interrupts > interrupts:
                    clean = False
                    self._show("up", f"{child.name} is killed")
                    child.kill()
                    deadline = now + self._grace_seconds
                self._pump(min(deadline - now, SAME_CTRL_C_SECONDS))
                if child.poll() is not None:
                    self._end(child)
        return clean


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
