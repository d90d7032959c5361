"""The simulation must notice each rule of the protocol that somebody takes away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.delivery.stream import Stream, Verdict
from pipeline.delivery.window import Window
from pipeline.ingester import intake as intake_module
from pipeline.ingester.intake import Cut, Intake
from pipeline.wire.frame import Acknowledgement, Flag, Header, Reply
from tests.delivery.senders import Sender
from tests.delivery.simulation import SCHEDULES, Disk, run

Patch = Callable[[type | Any, str, Any], None]

judge = Stream.judge
take = Stream.take
receive = Intake.receive
acknowledge = Window.acknowledge
rewind = Window._rewind
header_of = Window._header


def gap_accepted(patch: Patch) -> None:
    """Whatever comes next is taken."""

    def judged(self: Stream, header: Header, now: int) -> Verdict:
        gap = header.sequence > self.accepted + 1
        return Verdict.TAKE if gap else judge(self, header, now)

    patch(Stream, "judge", judged)


def acknowledged_before_commit(patch: Patch) -> None:
    """What is in memory is called durable."""

    def received(self: Intake, frames: Any, now: int) -> None:
        receive(self, frames, now)
        for stream in self.undurable():
            stream.durable = stream.accepted
            self.replies.setdefault(stream.producer, Reply.ACK)

    patch(Intake, "receive", received)


def no_duplicate_check(patch: Patch) -> None:
    """A batch that comes again is stored again."""

    def judged(self: Stream, header: Header, now: int) -> Verdict:
        verdict = judge(self, header, now)
        return Verdict.TAKE if verdict is Verdict.DUPLICATE else verdict

    patch(Stream, "judge", judged)


def no_crc_check(patch: Patch) -> None:
    """Flipped bits go in."""
    patch(intake_module, "crc_matches", lambda *_: True)


def no_rewind_on_hello(patch: Patch) -> None:
    """What a cut connection has lost waits for the time-out."""

    def acknowledged(self: Window, reply: Acknowledgement, now: int) -> bool:
        kind = Reply.ACK if reply.kind == Reply.HELLO else reply.kind
        return acknowledge(self, reply._replace(kind=kind), now)

    patch(Window, "acknowledge", acknowledged)


def rewind_to_the_wrong_number(patch: Patch) -> None:
    """One too far."""
    patch(Window, "_rewind", lambda self, accepted: rewind(self, accepted + 1))


def compared_with_durable(patch: Patch) -> None:
    """A batch that waits for its commit counts as unknown."""

    def judged(self: Stream, header: Header, now: int) -> Verdict:
        if header.last > self.durable and header.sequence <= self.accepted:
            return Verdict.TAKE
        return judge(self, header, now)

    patch(Stream, "judge", judged)


def base_ignored(patch: Patch) -> None:
    """What was given up is waited for."""

    def judged(self: Stream, header: Header, now: int) -> Verdict:
        return judge(self, header._replace(base=1), now)

    patch(Stream, "judge", judged)


def base_not_raised(patch: Patch) -> None:
    """The sender does not say what it has given up."""

    def headed(self: Window, held: Any, flags: int, dropped: int) -> bytes:
        kept, self._held[0].sequence = self._held[0].sequence, 1
        made = header_of(self, held, flags, dropped)
        self._held[0].sequence = kept
        return made

    patch(Window, "_header", headed)


def lost_not_counted(patch: Patch) -> None:
    """Holes are passed over in silence."""

    def taken(self: Stream, header: Header, rejected: Any) -> None:
        lost = self.lost
        take(self, header, rejected)
        self.lost = lost

    patch(Stream, "take", taken)


def marks_shared_with_the_commit(patch: Patch) -> None:
    """A commit writes marks as they are when it ends, not when it began."""
    patch(Stream, "copy", lambda self: self)


def batches_not_cut_anew(patch: Patch) -> None:
    """After a restart they straddle what was accepted."""
    patch(Window, "boundary", lambda *_: True)


def cut_anew_from_accepted(patch: Patch) -> None:
    """And what was accepted and not durable is held no longer."""
    cut = Sender._cut

    def cut_short(self: Sender, start: int, accepted: int, now: int) -> None:
        cut(self, accepted, accepted, now)

    patch(Sender, "_cut", cut_short)


def no_time_out(patch: Patch) -> None:
    """A lost batch without a next one is waited for."""
    patch(Window, "expire", lambda *_: False)


def full_socket_ignored(patch: Patch) -> None:
    """A batch that was not taken counts as sent."""
    patch(Window, "untake", lambda *_: None)


def dropped_not_told(patch: Patch) -> None:
    """What was given up before numbering is nobody's."""
    patch(
        Window,
        "_header",
        lambda self, held, flags, _: header_of(self, held, flags, 0),
    )


def fin_not_told(patch: Patch) -> None:
    """The end of a session looks like a pause."""
    patch(
        Window,
        "_header",
        lambda self, held, flags, dropped: header_of(
            self, held, flags & ~Flag.FIN, dropped
        ),
    )


class Apart(Disk):
    """Blocks in one transaction, marks in the next."""

    def commit(self, cut: Cut, half: bool) -> None:
        """A process may die between the two."""
        self.store(cut)
        if not half:
            self.mark(cut)


MUTANTS = (
    gap_accepted,
    acknowledged_before_commit,
    no_duplicate_check,
    no_crc_check,
    no_rewind_on_hello,
    rewind_to_the_wrong_number,
    compared_with_durable,
    base_ignored,
    base_not_raised,
    lost_not_counted,
    marks_shared_with_the_commit,
    batches_not_cut_anew,
    cut_anew_from_accepted,
    no_time_out,
    full_socket_ignored,
    dropped_not_told,
    fin_not_told,
)


def schedules(disk: type[Disk] = Disk) -> int:
    """How many schedules pass before one notices; raises AssertionError then."""
    for seed in range(SCHEDULES):
        run(seed, disk)
    return SCHEDULES


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_missing_rule_is_noticed(
    mutant: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the schedules that the real code passes."""
    mutant(monkeypatch.setattr)

    with pytest.raises(AssertionError, match="seed"):
        schedules()


def test_marks_apart_from_their_blocks_are_noticed() -> None:
    """A crash between two transactions stores rows again."""
    with pytest.raises(AssertionError, match="double"):
        schedules(Apart)
