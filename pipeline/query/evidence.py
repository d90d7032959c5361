"""What is known of a block that isn't opened: its patterns, and the token filter.

A question asks each of them once for all blocks: templates are judged over the store's
table, and a token is looked up in all filters by one scan.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.errors import StoreError
from pipeline.query.matchers import ALWAYS, NEVER, OPEN, Matcher, Verdicts
from pipeline.query.text import DIGIT, as_column
from pipeline.query.touching import Slotted, Touching, find_touching
from pipeline.store.message_column import MessageColumn
from pipeline.store.patterns import BlockPatterns
from pipeline.store.reader import Header, Reader
from pipeline.store.slots import Held
from pipeline.store.templates import Ids
from pipeline.store.tokens import hash_token

if TYPE_CHECKING:
    from pipeline.query.text import Ints

_JUDGED_KEPT: Final = 64
"""Conditions whose verdicts are kept: a byte a template each."""

_PLACES_KEPT: Final = 512
"""Blocks whose templates' places are kept, 8 kB for 2,000 templates: finding them was
0.4 of the 0.45 ms that a closed block took."""

_SLOTS_KEPT: Final = 1 << 21
"""Slots of blocks of which is kept what they may hold, in two bytes each: a block of
corpus entries has 20,000."""

_TOUCHING_KEPT: Final = 8
"""Conditions whose places in templates are kept."""

_FEW_OPEN: Final = 1024
"""Messages that are rebuilt as fast as more is found out of their variables."""

_NOWHERE: Final[frozenset[int]] = frozenset()


class Span(NamedTuple):
    """How many rows of a block match, at least and at most, and who says so."""

    low: int
    high: int
    by: str = ""


class Texts(NamedTuple):
    """How many rows of a block have messages that match, or may."""

    always: int
    open: int
    """Of templates whose variables decide."""

    rest: int
    """Without a template."""


def anything(header: Header) -> Span:
    """Nothing is known."""
    return Span(0, header.rows)


class Table:
    """The store's templates as one column of text, until there are more of them."""

    def __init__(self) -> None:
        self.ids = np.empty(0, np.uint64)
        self._data = b""
        self._ends: Ints = np.empty(0, np.int64)
        self._judged: OrderedDict[object, Verdicts] = OrderedDict()
        self._places: OrderedDict[Header, npt.NDArray[np.uint32]] = OrderedDict()
        self._touching: OrderedDict[object, list[list[Touching | None]]] = OrderedDict()
        self._held: OrderedDict[Header, tuple[Ints, Held]] = OrderedDict()
        self._held_slots = 0

    def follow(self, reader: Reader) -> None:
        """Take what the reader has."""
        table = reader.templates()
        if len(table.ids) == len(self.ids) and np.array_equal(table.ids, self.ids):
            return
        self.ids = table.ids
        self._data, self._ends = as_column(table.texts)
        self._judged.clear()
        self._touching.clear()
        self._places.clear()

    def keep(self, live: Set[Header]) -> None:
        """Forget all other blocks."""
        for header in self._places.keys() - live:
            del self._places[header]
        for header in self._held.keys() - live:
            self._held_slots -= len(self._held.pop(header)[1].of_slots)

    def judge(self, matcher: Matcher) -> Verdicts:
        """What each template tells; behind them stands what an unknown one does.

        The last conditions' verdicts are kept.
        """
        found = self._judged.get(matcher.key)
        if found is None:
            found = np.append(matcher.judge(self._data, self._ends), np.uint8(OPEN))
            self._judged[matcher.key] = found
            if len(self._judged) > _JUDGED_KEPT:
                self._judged.popitem(last=False)
        return found

    def narrow(self, matcher: Matcher, verdicts: Verdicts, block: Slotted) -> None:
        """Decide what an opened block's slots decide, in place."""
        found = self._touching.get(matcher.key)
        if found is None:
            found = [
                [find_touching(each, self._data, self._ends) for each in texts]
                for texts in matcher.needed
            ]
            self._touching[matcher.key] = found
            if len(self._touching) > _TOUCHING_KEPT:
                self._touching.popitem(last=False)
        for texts in found:
            if not any(each is not None and each.decides(block) for each in texts):
                continue
            sure = [each.possible(block) for each in texts if each is not None]
            if len(sure) == len(texts):
                verdicts[~np.logical_or.reduce(sure)] = NEVER

    def held(self, header: Header, column: MessageColumn) -> tuple[Ints, Held]:
        """The first slot of each of a block's templates, and what slots may hold."""
        found = self._held.get(header)
        if found is None:
            found = self._held[header] = column.first_slots, column.held()
            self._held_slots += len(found[1].of_slots)
            while self._held_slots > _SLOTS_KEPT and len(self._held) > 1:
                _, (_, oldest) = self._held.popitem(last=False)
                self._held_slots -= len(oldest.of_slots)
        return found

    def places(self, header: Header, ids: Ids) -> npt.NDArray[np.uint32]:
        """Where a block's templates stand here; unknown ones behind all."""
        found = self._places.get(header)
        if found is None:
            places = np.searchsorted(self.ids, ids)
            places[places == len(self.ids)] = 0
            known = (
                self.ids[places] == ids if len(self.ids) else np.zeros(len(ids), bool)
            )
            found = np.where(known, places, len(self.ids)).astype(np.uint32)
            self._places[header] = found
            if len(self._places) > _PLACES_KEPT:
                self._places.popitem(last=False)
        return found


class Evidence:
    """What a question has found out about closed blocks."""

    def __init__(self, reader: Reader, table: Table) -> None:
        self._reader = reader
        self._table = table
        self._judged: dict[Matcher, Verdicts] = {}
        self._without: dict[bytes, frozenset[int]] = {}
        self._followed = False

    def messages(self, matcher: Matcher, header: Header) -> Texts:
        """What the block's patterns tell of its messages."""
        patterns = self._patterns(header)
        if not len(patterns.ids):
            return Texts(0, 0, header.rows)
        verdicts = self._of(matcher, header, patterns)
        always = int(patterns.counts[verdicts == ALWAYS].sum())
        opened = int(patterns.counts[verdicts == OPEN].sum())
        return Texts(always, opened, patterns.rest)

    def lacks(self, header: Header, tokens: Sequence[bytes]) -> bool:
        """Whether the block's filter rules one of the tokens out."""
        return header.tier > 0 and any(
            header.id in self._blocks_without(token) for token in tokens
        )

    def _patterns(self, header: Header) -> BlockPatterns:
        (patterns,) = self._reader.patterns([header.id])
        return patterns

    def verdicts(
        self, matcher: Matcher, header: Header, column: MessageColumn
    ) -> Verdicts:
        """What the opened block's templates tell, by code: 0 is none, and open."""
        templates = column.template_count
        verdicts: Verdicts = np.full(templates + 1, OPEN, np.uint8)
        patterns = self._patterns(header)
        if len(patterns.ids) == templates:
            verdicts[1:] = self._of(matcher, header, patterns)
        else:
            verdicts[1:] = matcher.judge(*as_column(column.templates))
            return verdicts
        opened = int(patterns.counts[verdicts[1:] == OPEN].sum())
        if opened > _FEW_OPEN and matcher.needed:
            places = self._table.places(header, patterns.ids)
            block = Slotted(places, *self._table.held(header, column))
            self._table.narrow(matcher, verdicts[1:], block)
            opened = int(patterns.counts[verdicts[1:] == OPEN].sum())
            if opened > _FEW_OPEN:
                block = block._replace(lacking=column.lacking)
                self._table.narrow(matcher, verdicts[1:], block)
        return verdicts

    def _of(
        self, matcher: Matcher, header: Header, patterns: BlockPatterns
    ) -> Verdicts:
        if not self._followed:
            self._table.follow(self._reader)
            self._followed = True
        judged = self._judged.get(matcher)
        if judged is None:
            judged = self._judged[matcher] = self._table.judge(matcher)
        return judged[self._table.places(header, patterns.ids)]

    def _blocks_without(self, token: bytes) -> frozenset[int]:
        found = self._without.get(token)
        if found is None:
            wanted = hash_token(token)
            try:
                found = self._reader.blocks_without(wanted) if wanted else _NOWHERE
            except StoreError:
                found = _NOWHERE
            self._without[token] = found
        return found


def digit_tokens(tokens: Sequence[bytes]) -> list[bytes]:
    """Those that can only be variables of a template."""
    return [token for token in tokens if DIGIT.search(token)]
