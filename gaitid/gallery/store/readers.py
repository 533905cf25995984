"""Connections that read the database beside the one that writes, so that no reader waits for a commit."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Readers:
    """Read-only connections to a database in WAL mode; any number of threads may use them.

    Reads must be short: while one lasts the log cannot be emptied, so no erasure is acknowledged.

    Args:
        path: The database file; another connection has it open.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection to this thread; each statement sees the last commit before it."""
        try:
            db = self._idle.pop()
        except IndexError:
            db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            db.execute("PRAGMA query_only = ON")
        try:
            yield db
        finally:
            self._idle.append(db)
            if self._closed:
                self.close()

    def close(self) -> None:
        """Close the idle connections now, and the others once they are idle."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
