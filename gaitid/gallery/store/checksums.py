"""A checksum in each row, so that what a disk changed silently is found and not believed.

SQLite checks the frames of its log and the shape of its pages, not what is in them: a flipped bit in
a vector, a name or a threshold is a sound database with another answer. Tables with a column
`checksum` keep the CRC-32 of all their other columns there. Triggers of the connection write it, so
no statement of gaitid has to think of it, and what another program changes is found likewise. It
is no protection against somebody who wants to forge a row: sealing is (`keys`).
"""

from __future__ import annotations

import sqlite3
import zlib

_COLUMN = "checksum"
_BASE = 2**62
"""Added, so that all take eight bytes, as the column's default does: a row that a trigger writes again
stays in its place, for SQLite leaves copies of rows that it moves (`Store.scan`)."""


def install(db: sqlite3.Connection) -> None:
    """Keep the checksums of this connection's changes."""
    _add_function(db)
    for table, columns in _tables(db):
        names = ", ".join(name for name, _ in columns)
        for event in ("INSERT", f"UPDATE OF {names}"):
            db.execute(
                f"CREATE TEMP TRIGGER checksum_{table}_{event[:6]} AFTER {event} ON main.{table}"
                f" BEGIN {_renewal(table, columns, 'NEW.')} WHERE rowid = NEW.rowid; END"
            )


def renew(db: sqlite3.Connection) -> None:
    """Write the checksums of all rows, as after a change of the layout."""
    _add_function(db)
    for table, columns in _tables(db):
        db.execute(_renewal(table, columns))


def damaged(db: sqlite3.Connection) -> str:
    """Where the first row is that does not have its checksum; empty = nowhere (2 us a row)."""
    _add_function(db)
    for table, columns in _tables(db):
        found = db.execute(
            f"SELECT rowid FROM {table} WHERE {_COLUMN} IS NOT {_digest(columns)} LIMIT 1"  # noqa: S608
        ).fetchone()
        if found:
            return f"row {found[0]} of {table} is not as it was written"
    return ""


def _add_function(db: sqlite3.Connection) -> None:
    db.create_function("row_checksum", -1, _row_checksum, deterministic=True)


def _row_checksum(*values: bytes | int | float | None) -> int:
    parts = [value if isinstance(value, bytes) else repr(value).encode() for value in values]
    return _BASE + zlib.crc32(b"\0".join(parts))


def _tables(db: sqlite3.Connection) -> list[tuple[str, list[tuple[str, str]]]]:
    """The tables that have checksums, with names and types of the columns that these are of."""
    found = []
    for (table,) in db.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
        columns = db.execute("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall()
        if any(name == _COLUMN for name, _ in columns):
            found.append((table, [column for column in columns if column[0] != _COLUMN]))
    return found


def _renewal(table: str, columns: list[tuple[str, str]], prefix: str = "") -> str:
    return f"UPDATE {table} SET {_COLUMN} = {_digest(columns, prefix)}"  # noqa: S608


def _digest(columns: list[tuple[str, str]], prefix: str = "") -> str:
    # As bytes, so that text that is no UTF-8 any more reaches the function.
    texts = [
        f"CAST({prefix}{name} AS BLOB)" if kind == "TEXT" else f"{prefix}{name}" for name, kind in columns
    ]
    return f"row_checksum({', '.join(texts)})"
