"""What templates and the token filter cost and save, block by block.

    python -m bench.templates [--blocks 2] [--rows 65536] [--samples FOLDER]

Blocks of the corpus, then each `*.log` file of a folder as one block of lines. Bytes
are those of zstd level 3, CPU time that of the process; the least of three runs counts,
as whatever else runs can only add to it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.corpus import generate
from bench.measure import own_cpu
from pipeline.batch.column import Column
from pipeline.batch.decode import Batch, parse
from pipeline.batch.encode import encode_rows
from pipeline.batch.joined import parse_block
from pipeline.batch.layout import MESSAGE, TIMESTAMP
from pipeline.batch.read import Texts
from pipeline.batch.seal import join, seal
from pipeline.compression import compress
from pipeline.entry import Entry
from pipeline.limits import BLOCK_BYTES
from pipeline.store import bloom
from pipeline.store.messages import MessageColumn, Messages, encode_messages
from pipeline.store.patterns import pack_patterns
from pipeline.store.templates import text_ids
from pipeline.store.tokens import block_tokens, hash_token

_LEVEL: Final = 3
_RUNS: Final = 3
_BATCH: Final = 2_000
_ASKED: Final = 20_000
"""Absent tokens that the filter is asked for."""

_PAGE: Final = 100
_FORMAT: Final = (
    "{name:12} {rows:>7,} rows  templates {templates:>6,} of {kinds:>6,},"
    " {coded:4.1%} of rows | message {plain:5.1f} -> {size:5.1f} B"
    " | us: encode {encode:4.2f} tokens {hashing:4.2f} filter {build:4.2f}"
    " rebuild {rebuild:4.2f}, {page} rows {few:4.1f} ms"
    " | filter {tokens:4.2f} tokens {filter:4.2f} B = {share:4.1%} of {block:5.1f},"
    " false {wrong:5.2%}"
)


@dataclass(frozen=True, slots=True)
class _Data:
    """A stored column, decompressed."""

    data: bytes

    def read_ahead(self) -> None:
        """There is nothing to read."""

    def drop_ahead(self) -> bool:
        """Nothing ever was."""
        return False


def measure(name: str, batch: Batch) -> str:
    """One line: sizes in bytes an entry, CPU in microseconds an entry."""
    rows, column = batch.rows, batch.columns[MESSAGE]
    texts, times = column.texts, batch.columns[TIMESTAMP].numbers
    encode, messages = least(lambda: encode_messages(texts, times))
    hashing, tokens = least(lambda: block_tokens(batch, messages.tokens))
    build, pieces = least(lambda: bloom.build(tokens))
    rebuild, opened = least(lambda: rebuilt(messages, rows))
    assert opened.texts.data == texts.data
    place = rows // 2 + np.arange(min(_PAGE, rows - rows // 2))
    few, _ = least(lambda: opening(messages, rows).values(place))
    plain, block = sizes(batch)
    size = sum(len(compress(part.data, _LEVEL)) for part in messages.columns)
    block += size + len(pack_patterns(messages.patterns, _LEVEL)) - plain
    held = sum(map(len, pieces))
    return _FORMAT.format(
        name=name,
        rows=rows,
        templates=len(messages.templates),
        kinds=len(np.unique(text_ids(texts))),
        coded=1 - messages.patterns.rest / rows,
        plain=plain / rows,
        size=size / rows,
        encode=encode / rows * 1e6,
        hashing=hashing / rows * 1e6,
        build=build / rows * 1e6,
        rebuild=rebuild / rows * 1e6,
        page=len(place),
        few=few * 1e3,
        tokens=len(np.unique(tokens)) / rows,
        filter=held / rows,
        share=held / block,
        block=block / rows,
        wrong=false_yes(pieces),
    )


def least(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of the cheapest of some runs, and what it gave."""
    spent = []
    for _ in range(_RUNS):
        before = own_cpu()
        result = work()
        spent.append(own_cpu() - before)
    return min(spent), result


def opening(messages: Messages, rows: int) -> MessageColumn:
    """The column as a reader gets it, nothing read yet."""
    data = {part.name: _Data(part.data) for part in messages.columns}
    names = ("message", "variables", "templates", "unstructured")
    codes, variables, templates, others = map(data.get, names)
    assert codes is not None
    assert variables is not None
    return MessageColumn(rows, codes, variables, templates, others)


def rebuilt(messages: Messages, rows: int) -> Column:
    """With all its texts."""
    column = opening(messages, rows)
    assert isinstance(column.texts, Texts)
    return column


def sizes(batch: Batch) -> tuple[int, int]:
    """Compressed bytes of the messages as text, and of all columns."""
    columns = {part.name: len(compress(part.data, _LEVEL)) for part in join([batch])}
    return columns[MESSAGE], sum(columns.values())


def false_yes(pieces: list[bytes]) -> float:
    """Share of absent tokens that the filter does not rule out."""
    asked = (hash_token(b"absent_%d" % number) for number in range(_ASKED))
    found = (bloom.may_hold(pieces[bloom.partition_of(each)], each) for each in asked)
    return sum(found) / _ASKED


def corpus_blocks(blocks: int, rows: int) -> Iterator[Batch]:
    """The corpus, so many rows at a time."""
    entries = generate(blocks * rows)
    for _ in range(blocks):
        yield block_of(list(islice(entries, rows)))


def block_of(rows: list[Entry]) -> Batch:
    """As the ingester seals what came in batches."""
    parts = [rows[at : at + _BATCH] for at in range(0, len(rows), _BATCH)]
    payload = seal([parse(encode_rows(part)) for part in parts], 1)
    return parse_block(payload, BLOCK_BYTES)


def sample_block(path: Path) -> Batch:
    """A file's lines as the messages of one source, one a millisecond."""
    lines = path.read_text(errors="replace").splitlines()
    return block_of(
        [
            Entry(number * 1_000_000, path.stem, 9, line, {}, [], None)
            for number, line in enumerate(lines[:65_536])
        ]
    )


def main() -> None:
    """Print a line for each block."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=2)
    parser.add_argument("--rows", type=int, default=65_536)
    parser.add_argument("--samples", type=Path, help="folder with *.log files")
    options = parser.parse_args()
    for number, batch in enumerate(corpus_blocks(options.blocks, options.rows), 1):
        print(measure(f"corpus {number}", batch), flush=True)
    if options.samples:
        for path in sorted(options.samples.glob("*.log")):
            print(measure(path.stem, sample_block(path)), flush=True)


if __name__ == "__main__":
    main()
