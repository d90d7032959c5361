"""Is the database whole? Asked before it is opened, of all but the blocks' data.

Walks page 1, each B-tree page with its records, the list of free pages and the WAL.
A block's data is not read: its checksum is compared when a query opens it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from pipeline.store.books import Books
from pipeline.store.database import table_definitions
from pipeline.store.images import Images
from pipeline.store.pages import (
    POINTER,
    Cell,
    Page,
    PageError,
    parse_page,
    record_types,
    record_values,
)
from pipeline.store.rows import (
    blob_row,
    block_row,
    chain_row,
    compacted_row,
    letter_row,
    meta_row,
    pattern_row,
    producer_row,
)
from pipeline.store.schema import APPLICATION, PAGE_BYTES, VERSION

FLAWS_MAX: Final = 20
"""Then it is certain enough."""

MAGIC: Final = b"SQLite format 3\0"

_FIXED: Final = {
    16: struct.pack(">H", PAGE_BYTES),
    18: bytes([2, 2, 0, 64, 32, 32]),  # WAL, no reserved bytes, SQLite's fractions
    44: struct.pack(">2I", 4, 0),  # schema format; cache size
    56: struct.pack(">I", 1),  # UTF-8
    64: struct.pack(">I", 1),  # incremental vacuum
    72: bytes(20),
}
"""Fields of page 1 that are always the same in our databases."""

_SIZE, _FREE, _FREE_COUNT = 28, 32, 36
_CHANGES, _VALID_FOR = 24, 92


class Owner(NamedTuple):
    """What the pointer map says of a page."""

    type: int
    parent: int


ROOT, FREE, OVERFLOW, _OVERFLOW_NEXT, TREE = range(1, 6)
TREE_TYPES: Final = (ROOT, TREE)
_OWNER: Final = struct.Struct(">BI")
_OWNERS: Final = PAGE_BYTES // _OWNER.size
"""Pages that one page of the pointer map describes; the first one is page 2."""


def owner(images: Images, number: int) -> Owner:
    """The pointer map's entry for a page; raises PageError."""
    place = (number - 2) % (_OWNERS + 1)
    data = images.read(number - place)
    return Owner(*_OWNER.unpack_from(data, (place - 1) * _OWNER.size))


def is_map(number: int) -> bool:
    """Whether a page is one of the pointer map."""
    return number > 1 and (number - 2) % (_OWNERS + 1) == 0


def schema(images: Images) -> dict[str, int]:
    """Root pages by table; raises PageError when the schema is not one of ours."""
    found: dict[str, int] = {}
    statements: dict[str, str] = {}
    for cell in parse_page(images.read(1), 1).cells:
        data = images.payload(cell, cell.size)
        types, start = record_types(data)
        if len(types) != 5:
            raise PageError("the schema has a row that is none")
        kind, name, _, root, sql = record_values(data, types, start)
        if kind != "table" or not isinstance(root, int) or not isinstance(name, str):
            raise PageError("the schema has something that is no table")
        found[name], statements[name] = root, str(sql)
    if statements and statements != table_definitions(version(images)):
        raise PageError("the schema is not what it was made as")
    return found


def version(images: Images) -> int:
    """The version of the tables; raises PageError when it contradicts itself."""
    page = images.read(1)
    (found,) = POINTER.unpack_from(page, 60)
    (application,) = POINTER.unpack_from(page, 68)
    is_old = application == 0 and found < 3
    if not is_old and application != APPLICATION + found:
        raise PageError(f"version {found} of the tables contradicts the application id")
    return int(found)


class Findings(NamedTuple):
    """What is wrong, in words; nothing when the database is whole."""

    flaws: list[str]
    sound_tables: set[str]
    """Those of which every row could be read."""


def refusal(images: Images) -> str | None:
    """Why a file is none of our business, though nothing is wrong with it."""
    try:
        page = images.read(1)
        if not page.startswith(MAGIC):
            return None
        (size,) = struct.unpack_from(">H", page, 16)
        if size != PAGE_BYTES and size & (size - 1) == 0 and size >= 512:
            return f"has pages of {size} bytes; this program's have {PAGE_BYTES}"
        if (found := version(images)) > VERSION:
            return (
                f"was written by a newer program (version {found}; this program knows"
                f" {VERSION}: install a newer one)"
            )
        if found == 0 and parse_page(page, 1).cells:
            return "holds tables of another program"
    except PageError:
        pass
    return None


def inspect(images: Images) -> Findings:
    """What is wrong with a database."""
    inspection = _Inspection(images)
    inspection.run()
    return Findings(inspection.found[:FLAWS_MAX], inspection.sound_tables)


def _field(page: bytes, at: int) -> int:
    return int(POINTER.unpack_from(page, at)[0])


class _Inspection:
    """One walk through a database."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self.found = list(images.wal.flaws)
        self.sound_tables: set[str] = set()
        self._seen: set[int] = set()
        self._size = 0
        self._books = Books()

    def run(self) -> None:
        """Look at everything; a part that can't be read hides no other."""
        roots: dict[str, int] = {}
        for look in (self._header, lambda: roots.update(schema(self._images))):
            self._try(look)
        books, payload = self._books, self._images.payload
        kinds: dict[str, Callable[[Cell], Any]] = {
            "blocks": lambda cell: books.add_block(block_row(cell, payload)),
            "producers": lambda cell: books.add_mark(producer_row(cell, payload)),
            "dead_letters": lambda cell: letter_row(cell, payload),
            "meta": lambda cell: books.add_pair(*meta_row(cell, payload)),
            "compacted": lambda cell: books.add_compacted(compacted_row(cell, payload)),
            "segments": blob_row,
            "filters": blob_row,
            "patterns": lambda cell: pattern_row(cell, payload),
            "chain": lambda cell: books.add_event(chain_row(cell, payload)),
        }
        for table, root in roots.items():
            before = len(self.found)
            self._try(partial(self._walk, root, kinds[table]))
            if len(self.found) == before:
                self.sound_tables.add(table)
        self._try(self._free_pages)
        if roots and not self.found:
            self._try(books.check)

    def _try(self, look: Callable[[], Any]) -> None:
        try:
            look()
        except PageError as error:
            self.found.append(str(error))

    def _header(self) -> None:
        page = self._images.read(1)
        if not page.startswith(MAGIC):
            raise PageError("the file does not begin as a database does")
        for at, expected in _FIXED.items():
            if page[at : at + len(expected)] != expected:
                raise PageError(f"page 1 is damaged at byte {at}")
        if _field(page, _CHANGES) != _field(page, _VALID_FOR):
            raise PageError(f"page 1 is damaged at byte {_CHANGES} or {_VALID_FOR}")
        self._size = _field(page, _SIZE)
        if self._size != self._images.size:
            raise PageError(f"page 1 says {self._size} pages, not {self._images.size}")

    def _page(self, number: int) -> Page:
        if not 0 < number <= self._images.size or is_map(number):
            raise PageError(f"there is no page {number} of a table")
        if number in self._seen:
            raise PageError(f"page {number} belongs to two places")
        self._seen.add(number)
        return parse_page(self._images.read(number), number)

    def _owned(self, number: int, expected: Owner) -> None:
        found = owner(self._images, number)
        if found != expected:
            raise PageError(f"the pointer map is wrong about page {number}")

    def _walk(self, root: int, look: Callable[[Cell], Any]) -> None:
        """Each page of a tree, and each of its rows in order."""
        self._owned(root, Owner(ROOT, 0))
        last = -(1 << 63)
        waiting: list[tuple[int, int] | Cell] = [(root, 0)]
        while waiting:
            if len(self.found) >= FLAWS_MAX:
                return
            item = waiting.pop()
            if isinstance(item, Cell):
                last = self._visit(item, last, look)
                continue
            number, parent = item
            try:
                if parent:
                    self._owned(number, Owner(TREE, parent))
                page = self._page(number)
            except PageError as error:
                self.found.append(str(error))
                continue
            for cell in page.cells:
                if cell.overflow:
                    self._try(partial(self._overflow, cell, number))
            waiting += reversed(list(_inner(page, number)))

    def _overflow(self, cell: Cell, number: int) -> None:
        if not 1 < cell.overflow <= self._images.size:
            raise PageError(f"page {number} points to page {cell.overflow}")
        self._owned(cell.overflow, Owner(OVERFLOW, number))

    def _visit(self, cell: Cell, last: int, look: Callable[[Cell], Any]) -> int:
        """A row, or the key that parts two pages; the last key so far."""
        if cell.child and not cell.local:
            if cell.key < last:
                self.found.append(f"key {cell.key} of a table stands behind {last}")
            return max(last, cell.key)
        if cell.key and cell.key < last + (not cell.child):
            self.found.append(f"row {cell.key} of a table stands behind {last}")
        self._try(lambda: look(cell))
        return max(last, cell.key)

    def _free_pages(self) -> None:
        page = self._images.read(1)
        trunk, count = _field(page, _FREE), _field(page, _FREE_COUNT)
        free = free_pages(self._images, trunk)
        if len(free) != count:
            raise PageError(f"{len(free)} free pages are listed; page 1 says {count}")
        for number in free:
            if number in self._seen:
                raise PageError(f"page {number} is listed as free and is in use")
            self._owned(number, Owner(FREE, 0))


def _inner(page: Page, number: int) -> Iterator[tuple[int, int] | Cell]:
    """Children and rows in the order of their keys."""
    for cell in page.cells:
        if cell.child:
            yield cell.child, number
        yield cell
    if page.right:
        yield page.right, number


def free_pages(images: Images, trunk: int) -> set[int]:
    """The pages on the list of free ones; raises PageError."""
    found: set[int] = set()
    while trunk:
        if trunk in found or not 1 < trunk <= images.size:
            raise PageError(f"the list of free pages leads to page {trunk}")
        found.add(trunk)
        page = images.read(trunk)
        trunk, count = struct.unpack_from(">2I", page)
        if count > PAGE_BYTES // 4 - 2:
            raise PageError(f"the list of free pages has {count} on a page")
        leaves = struct.unpack_from(f">{count}I", page, 8)
        if not all(1 < leaf <= images.size for leaf in leaves):
            raise PageError("the list of free pages has one that is not there")
        found.update(leaves)
    return found
