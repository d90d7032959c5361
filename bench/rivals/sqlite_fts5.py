"""SQLite rows with FTS5 over the messages, as external content."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bench.rivals import LIMIT, Row
from bench.rivals.sqlite_rows import SqliteRows

_INDEX: Final = """
CREATE VIRTUAL TABLE words USING fts5 (
    message, content='logs', content_rowid='id', tokenize='unicode61'
);
"""
_FOUND: Final = f"""
SELECT logs.* FROM logs
WHERE id IN (SELECT rowid FROM words WHERE words MATCH ?)
ORDER BY timestamp DESC LIMIT {LIMIT}
"""


class SqliteFts5(SqliteRows):
    """Words and phrases come from the index; substrings are scanned as in rows."""

    table = SqliteRows.table + _INDEX

    def index(self, after: int) -> None:
        """Index the rows of this transaction in one statement."""
        query = "INSERT INTO words (rowid, message) SELECT id, message FROM logs"
        self.connection.execute(f"{query} WHERE id > ?", (after,))

    def word(self, word: str) -> list[Row]:
        """The newest entries whose message has this word."""
        return self._match(word)

    def phrase(self, phrase: str) -> list[Row]:
        """The newest entries whose message has these words in a row."""
        return self._match(phrase)

    def _match(self, text: str) -> list[Row]:
        found = self.run(_FOUND, f'"{text}"')
        return [(row[1], row[2], row[3], row[4]) for row in found]


def open_store(folder: Path, _address: str) -> SqliteFts5:
    """The store in this folder."""
    return SqliteFts5(folder)
