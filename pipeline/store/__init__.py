"""Blocks of columns in one SQLite file: `writer` is the only one that writes, `reader`
and `database.open_reader` read; FORMAT.md is the page of the file's format."""
