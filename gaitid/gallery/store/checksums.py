"""A checksum in each row, so that silent changes of the disk are detected.

SQLite checks the frames of its log and the structure of its pages, but not their content: after a flipped bit
in a vector, a name or a threshold the database opens normally and gives another answer. Tables with a column
`checksum` store the CRC-32 of all their other columns there. Triggers of the connection write it, so no
statement of gaitid has to, and changes by other programs are detected too. Checksums do not protect against
deliberate forgery; encryption does (`keys`).
"""

from __future__ import annotations

import sqlite3
import zlib
from typing import NamedTuple

from gaitid.gallery.store import query

_COLUMN = "checksum"
_BASE = 2**62
"""Added, so that every checksum takes eight bytes, as the default of the column does. A row that a trigger
rewrites then stays in its place; SQLite leaves copies of rows that it moves (`Store.scan`)."""


class _Column(NamedTuple):
    name: str
    type: str


def install(db: sqlite3.Connection) -> None:
    """Write checksums with all changes of this connection."""
    _add_function(db)
    for table, columns in _tables(db):
        names = ", ".join(column.name for column in columns)
        for event in ("INSERT", f"UPDATE OF {names}"):
            db.execute(
                f"CREATE TEMP TRIGGER checksum_{table}_{event[:6]} AFTER {event} ON main.{table}"
                f" BEGIN {_renewal(table, columns, 'NEW.')} WHERE rowid = NEW.rowid; END"
            )


def renew(db: sqlite3.Connection) -> None:
    """Write the checksums of all rows, as needed after a migration."""
    _add_function(db)
    for table, columns in _tables(db):
        db.execute(_renewal(table, columns))


def damaged(db: sqlite3.Connection) -> str:
    """Describe the first row whose checksum is wrong; empty = all are right (2 us per row)."""
    _add_function(db)
    for table, columns in _tables(db):
        wrong = f"SELECT rowid FROM {table} WHERE {_COLUMN} IS NOT {_digest(columns)} LIMIT 1"  # noqa: S608
        for row in query.column(db, wrong):
            return f"row {row} of {table} is not as it was written"
    return ""


def _add_function(db: sqlite3.Connection) -> None:
    db.create_function("row_checksum", -1, _row_checksum, deterministic=True)


def _row_checksum(*values: bytes | int | float | None) -> int:
    parts = [value if isinstance(value, bytes) else repr(value).encode() for value in values]
    return _BASE + zlib.crc32(b"\0".join(parts))


def _tables(db: sqlite3.Connection) -> list[tuple[str, list[_Column]]]:
    """Return the tables that have checksums, with the columns that these cover."""
    found = []
    for table in query.column(db, "SELECT name FROM main.sqlite_master WHERE type = 'table'"):
        columns = query.fetch(db, _Column, "SELECT name, type FROM pragma_table_info(?)", table)
        if any(column.name == _COLUMN for column in columns):
            found.append((table, [column for column in columns if column.name != _COLUMN]))
    return found


def _renewal(table: str, columns: list[_Column], prefix: str = "") -> str:
    return f"UPDATE {table} SET {_COLUMN} = {_digest(columns, prefix)}"  # noqa: S608


def _digest(columns: list[_Column], prefix: str = "") -> str:
    # As bytes, so that damaged text that is not UTF-8 reaches the function.
    texts = [
        f"CAST({prefix}{column.name} AS BLOB)" if column.type == "TEXT" else f"{prefix}{column.name}"
        for column in columns
    ]
    return f"row_checksum({', '.join(texts)})"
