"""`pipeline export --format parquet`: what other programs read is what is stored."""

from __future__ import annotations

import io
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cli import parquet
from tests.cli.shell import Shell, entry, evil, fill
from tests.query.stores import Asker


@pytest.fixture
def shell(tmp_path):
    """Over 40 entries, in pages of 10."""
    fill(tmp_path / "logs.db", [*map(entry, range(39)), evil(39)])
    return Shell(tmp_path / "logs.db", PIPELINE_QUERY__MAX_ROWS="10")


def test_each_entry_is_a_row(shell, tmp_path):
    """With the very time, tags as a list and metadata as JSON."""
    path = tmp_path / "out.parquet"
    assert shell.lines("export", "-o", str(path)) == []
    logs = Asker(shell.database).ask("query", order="asc", limit=100)["logs"]
    table = pq.read_table(path)
    times = table["timestamp"].cast("int64").to_pylist()

    rows = table.drop(["timestamp"]).to_pylist()
    for row in rows:
        row["metadata"] = json.loads(row["metadata"])
    assert rows == [
        {name: value for name, value in log.items() if name != "timestamp"}
        for log in logs
    ]
    assert times == [entry(n).timestamp for n in range(39)] + [evil(39).timestamp]
    assert str(table.schema.field("timestamp").type) == "timestamp[ns, tz=UTC]"
    assert [each.name for each in tmp_path.glob("out*")] == ["out.parquet"]


def test_fields_are_columns(shell, tmp_path):
    """In their order; what is no text is JSON, and what there is not is null."""
    path = tmp_path / "out"
    fields = "message,metadata.path,metadata.none"
    shell.lines("export", "--format=parquet", "-o", str(path), "--fields", fields)

    table = pq.read_table(path)
    assert table.column_names == fields.split(",")
    assert table.slice(1, 1).to_pylist() == [
        {
            "message": "request 1 took 1 ms",
            "metadata.path": "/p/1",
            "metadata.none": None,
        }
    ]


def test_memory_is_bounded_by_row_groups(monkeypatch):
    """Of whole pieces."""
    monkeypatch.setattr(parquet, "GROUP_BYTES", 50)
    line = b'{"message": "0123456789"}\n'
    written = io.BytesIO()
    parquet.write_parquet(iter([line * 2] * 3), written.write, ["message"])

    file = pq.ParquetFile(written)
    groups = range(file.metadata.num_row_groups)
    assert [file.metadata.row_group(group).num_rows for group in groups] == [2, 2, 2]


def test_nothing_is_a_file_without_rows(shell, tmp_path):
    """With its columns."""
    path = tmp_path / "out.parquet"
    shell.lines("export", "nothingofthekind", "-o", str(path))

    assert (pq.read_table(path).num_rows, pq.read_table(path).num_columns) == (0, 8)


def test_without_pyarrow_it_says_what_to_install(monkeypatch):
    """It is no part of an ordinary installation."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(parquet.PipelineError, match=r"pipeline\[parquet\]"):
        parquet.write_parquet([], print, [])


def test_what_ends_early_has_no_footer(monkeypatch):
    """Of a pipe the reader has nothing but the bytes: they must not look whole."""
    monkeypatch.setattr(parquet, "GROUP_BYTES", 50)

    def broken():
        yield b'{"message": "0123456789"}\n' * 2
        raise parquet.PipelineError("ended early")

    written = io.BytesIO()
    with pytest.raises(parquet.PipelineError, match="ended early"):
        parquet.write_parquet(broken(), written.write, ["message"])

    assert len(written.getvalue()) > 50, "no row group was written"
    with pytest.raises(pa.ArrowInvalid, match="footer"):
        pq.ParquetFile(written)
