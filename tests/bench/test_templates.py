"""The bench of templates: its figures are of what is stored."""

from __future__ import annotations

import re
from pathlib import Path

from bench.corpus import generate
from bench.templates import block_of, corpus_blocks, measure, sample_block
from pipeline.batch.layout import MESSAGE


def test_it_measures_blocks_of_the_corpus() -> None:
    """Templates save bytes, and the filter keeps its limits."""
    (batch,) = corpus_blocks(1, 20_000)

    line = measure("corpus", batch)

    assert "20,000 rows" in line
    plain, size = map(float, re.findall(r"message +([\d.]+) -> +([\d.]+) B", line)[0])
    share, wrong = map(
        float, re.findall(r"= +([\d.]+)% of .*false +([\d.]+)%", line)[0]
    )
    assert size < 0.7 * plain
    assert share <= 8
    assert wrong <= 1


def test_it_reads_lines_of_files(tmp_path: Path) -> None:
    """Those of one file are the messages of a block."""
    path = tmp_path / "service.log"
    path.write_text("job 1 done\njob 2 done\n")

    batch = sample_block(path)

    assert batch.columns[MESSAGE].values() == ["job 1 done", "job 2 done"]
    assert batch.columns["source"].values() == ["service"] * 2


def test_blocks_are_those_of_the_entries() -> None:
    """In their order, though they come in batches."""
    rows = list(generate(4_500))

    messages = block_of(rows).columns[MESSAGE].values()

    assert messages == [entry.message for entry in rows]
