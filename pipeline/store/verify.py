"""Is a store what was written to it? Each block, the chain, the templates, the marks.

Reads all of it, block by block, so that an ingester may go on meanwhile.  Without one
the pages of the file are looked at too, as the next start would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.errors import FrameError, StoreError
from pipeline.store import chain
from pipeline.store.block_check import check_block, templates_of
from pipeline.store.chain import Event, State
from pipeline.store.check import inspect, refusal
from pipeline.store.database import (
    Connection,
    DatabaseError,
    is_written,
    open_reader,
)
from pipeline.store.images import Images
from pipeline.store.listed import Listed, has_table, live_blocks
from pipeline.store.rows import row_checksum
from pipeline.store.rows_of_block import BlockRows, rows_of_block
from pipeline.store.template_table import signed, template_row
from pipeline.timestamp import format_timestamp

Progress = Callable[[int, int], None]
"""(blocks looked at, blocks in all) => ..."""

_CRC: Final = 13
"""Place of the checksum in a row of `producers`."""


@dataclass(slots=True)
class Verdict:
    """What was found; it is sound when `damaged` and `flaws` are empty."""

    damaged: dict[int, list[str]] = field(default_factory=dict)
    """By block, what is wrong with it."""

    flaws: list[str] = field(default_factory=list)
    """What is wrong and is no block's alone."""

    notes: list[str] = field(default_factory=list)
    """What is no fault, but should be known."""

    blocks: int = 0
    rows: int = 0
    commit: int = 0
    """The newest commit."""

    events: int = 0
    head: str = ""
    """The newest hash of the chain, as hex digits."""

    unchained: int = 0
    """The newest blocks, which are not in the chain yet."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damaged and not self.flaws


def verify_store(
    path: Path, progress: Progress = lambda *_: None, expected: str | None = None
) -> Verdict:
    """Look at a database; raises StoreError when it can't be looked at at all.

    `expected`: a hash of the chain that must be in it, as hex digits.
    """
    if not path.is_file():
        raise StoreError(f"{path} does not exist")
    verdict = Verdict()
    if is_written(path):
        verdict.notes.append(
            "an ingester has it open: its pages are not looked at one by one, which it"
            " does itself at each start"
        )
    else:
        _look_at_pages(path, verdict)
    try:
        with closing(open_reader(path)) as connection:
            _Store(connection, verdict, progress).verify(expected)
    except (DatabaseError, StoreError) as error:
        verdict.flaws.append(f"{path} can't be read on: {error}")
    return verdict


def _look_at_pages(path: Path, verdict: Verdict) -> None:
    images = Images(path)
    try:
        if (reason := refusal(images)) is not None:
            raise StoreError(f"{path} {reason}")
        verdict.flaws += [
            f"{flaw}; the ingester salvages it when it starts"
            for flaw in inspect(images).flaws
        ]
    finally:
        images.close()


def verify_chain(
    rows: Iterable[tuple[int, bytes, bytes]], verdict: Verdict
) -> State | None:
    """Follow the chain; what its events add up to, None when there is none."""
    state, before = State(), None
    for number, head, packed in rows:
        verdict.events, verdict.head = number, head.hex()
        is_first = before is None and chain.linked([(number, head, packed)])
        follows = before is not None and (
            number == before[0] + 1 and chain.hash_of(before[1], packed) == head
        )
        if not is_first and not follows:
            verdict.flaws.append(
                f"the chain is broken at event {number}: it does not follow the one"
                " before; events were removed or changed"
            )
        before = number, head
        try:
            event = chain.unpack(packed)
        except StoreError as error:
            verdict.flaws.append(f"event {number} of the chain: {error}")
            continue
        verdict.flaws += [f"event {number}: {flaw}" for flaw in state.apply(event)]
        _tell_of(number, event, verdict)
    if before is None:
        return None
    if (problem := state.balance()) is not None:
        verdict.flaws.append(f"the chain does not add up: {problem}")
    return state


def expect_head(
    rows: Sequence[tuple[int, bytes, bytes]], expected: str, verdict: Verdict
) -> None:
    """A hash of the chain that was kept elsewhere must be in it."""
    if expected.lower() in {head.hex() for _, head, _ in rows if type(head) is bytes}:
        return
    oldest = rows[0][0] if rows else 0
    verdict.flaws.append(
        f"the chain does not have the hash {expected}: what was done up to it"
        f" was done in another way (its oldest event is number {oldest})"
    )


def _tell_of(number: int, event: Event, verdict: Verdict) -> None:
    if event.kind != chain.STATE:
        return
    when = f"event {number} of {format_timestamp(event.time)}"
    if event.reason == chain.UNEXPLAINED:
        verdict.flaws.append(
            f"{when}: the ingester found other blocks than it had left;"
            f" {event.sums.get(chain.UNEXPLAINED, 0):,} entries so far went without an"
            " event"
        )
    elif event.reason == chain.SALVAGED:
        lost = event.sums.get(chain.SALVAGED, 0)
        verdict.notes.append(
            f"{when}: a damaged database was salvaged; {lost:,} entries so far were"
            " lost that way"
        )


def compare(
    live: Iterable[Listed], state: State, verdict: Verdict
) -> dict[int, list[str]]:
    """Blocks that are not what the chain says, and why."""
    found: dict[int, list[str]] = {}
    there = {block.id: block for block in live}
    for block_id, held in state.live.items():
        block = there.get(block_id)
        if block is None:
            text = f"it is not there, and no event says why ({held.rows:,} entries)"
            found[block_id] = [text]
        elif block[1:4] != held[1:4]:
            found[block_id] = ["its header is not the one that the chain has"]
    for block_id, block in there.items():
        if block_id in state.live:
            continue
        if block.first > state.newest:
            verdict.unchained += 1
        else:
            found[block_id] = ["it is there, and the chain says it should not be"]
    return found


class _Store:
    """One look at a database."""

    def __init__(
        self, connection: Connection, verdict: Verdict, progress: Progress
    ) -> None:
        self._connection = connection
        self._verdict = verdict
        self._progress = progress
        self._templates: dict[int, bytes] = {}

    def verify(self, expected: str | None) -> None:
        """All of it; what can't be read hides nothing else."""
        live, state = self._snapshot(expected)
        # what a broken chain says of a block may itself be what was changed
        is_broken = bool(self._verdict.flaws)
        damaged = {} if state is None else compare(live, state, self._verdict)
        self._look_at_templates()
        self._look_at_marks()
        self._verdict.commit = max([0, *(block.last for block in live)])
        for place, block in enumerate(live, 1):
            held = None if state is None or is_broken else state.live.get(block.id)
            flaws = self._flaws(block, held)
            if flaws is None:  # compaction has put another in its place meanwhile
                continue
            self._verdict.blocks += 1
            self._verdict.rows += block.rows
            if flaws:
                damaged.setdefault(block.id, []).extend(flaws)
            self._progress(place, len(live))
        self._verdict.damaged = dict(sorted(damaged.items()))

    def _snapshot(self, expected: str | None) -> tuple[list[Listed], State | None]:
        """Blocks and chain of one moment."""
        rows: list[tuple[int, bytes, bytes]] = []
        live: list[Listed] = []
        self._connection.execute("BEGIN")
        try:
            try:
                live = live_blocks(self._connection)
            except DatabaseError as error:
                self._verdict.flaws.append(f"the blocks can't be listed: {error}")
            if has_table(self._connection, "chain"):
                rows = self._connection.execute(
                    "SELECT id, hash, event FROM chain ORDER BY id"
                ).fetchall()
            else:
                self._verdict.notes.append(
                    "it is older than the chain, which the next ingester begins"
                )
        except DatabaseError as error:
            self._verdict.flaws.append(f"the chain can't be read: {error}")
        finally:
            self._connection.execute("COMMIT")
        if expected is not None:
            expect_head(rows, expected, self._verdict)
        return live, verify_chain(rows, self._verdict)

    def _flaws(self, block: Listed, held: chain.Held | None) -> list[str] | None:
        try:
            rows = rows_of_block(self._connection, block.id)
            if rows is None:
                return self._absent(block)
        except DatabaseError as error:
            return [f"it can't be read: {error}"]
        flaws = check_block(rows, held)
        return flaws or self._unknown_templates(rows)

    def _absent(self, block: Listed) -> list[str] | None:
        now = {each.id for each in live_blocks(self._connection)}
        return ["it is not there any more"] if block.id in now else None

    def _unknown_templates(self, rows: BlockRows) -> list[str]:
        try:
            found = templates_of(rows)
        except FrameError as error:
            return [str(error)]
        unknown = [
            key for key, text in found.items() if self._templates.get(key) != text
        ]
        unknown = [key for key in unknown if not self._knows(key, found[key])]
        if not unknown:
            return []
        return [f"{len(unknown)} of its templates are not in the table of templates"]

    def _knows(self, key: int, text: bytes) -> bool:
        """Whether the table has it by now."""
        row = self._connection.execute(
            "SELECT template FROM patterns WHERE id = ?", (signed(key),)
        ).fetchone()
        return row is not None and row[0] == text

    def _look_at_templates(self) -> None:
        if not has_table(self._connection, "patterns"):
            return
        try:
            rows = self._connection.execute("SELECT * FROM patterns").fetchall()
        except DatabaseError as error:
            self._verdict.flaws.append(f"the templates can't be read: {error}")
            return
        for row in rows:
            try:
                is_sound = template_row(*row[:4]) == row
            except Exception:  # noqa: BLE001 - a value of any kind
                is_sound = False
            if is_sound:
                self._templates[row[0] % (1 << 64)] = row[1]
            else:
                self._verdict.flaws.append(
                    f"template {row[0]}: its CRC is wrong; blocks have it themselves"
                )

    def _look_at_marks(self) -> None:
        try:
            rows = self._connection.execute("SELECT * FROM producers").fetchall()
        except DatabaseError as error:
            self._verdict.flaws.append(f"the producers can't be read: {error}")
            return
        for row in rows:
            values = [*row[:_CRC], *row[_CRC + 1 :]]
            known = (None, row_checksum(values), row_checksum(values[:_CRC]))
            if len(row) > _CRC and row[_CRC] not in known:
                self._verdict.flaws.append(
                    f"producer {bytes(row[0]).hex()}: its row's CRC is wrong"
                )
