"""Answers of recent changes, so that a retry after a restart gets the first one.

The store knows neither ids nor answers: it gets a digest of the id, and the answer encrypted by what only the
caller has (`server.replay`). So no answer names an erased subject in a file.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from gaitid.gallery.store import query
from gaitid.gallery.store.connection import Connection

KEEP_S = 24 * 3600.0
"""How long an answer is kept, seconds."""
MAX_ANSWERS = 10_000
"""Largest number of answers kept, about 1 KB each; the oldest is dropped first."""
_FORGET = (
    "DELETE FROM answers WHERE name = ?"
    " OR (at <= ? AND number IN (SELECT number FROM answers ORDER BY number LIMIT 8))"
)
"""Old ones go faster than new ones come, and no change has to read all."""


class Kept(NamedTuple):
    """An answer: a digest of its request, and its sealed bytes."""

    digest: bytes
    answer: bytes


class Answers:
    """The kept answers of a database.

    Args:
        connection: The open database.
    """

    def __init__(self, connection: Connection) -> None:
        self._db, self._commits = connection.db, connection.commits

    def keep(self, name: bytes, digest: bytes, answer: bytes) -> None:
        """Keep an answer until a day has passed, or `MAX_ANSWERS` newer ones came.

        Args:
            name: Digest of the id of the request.
            digest: Digest of the request.
            answer: The sealed answer.

        Raises:
            StoreError: It could not be committed.
        """

        def change() -> None:
            now = time.time()
            self._db.execute(_FORGET, (name, now - KEEP_S))
            insert = "INSERT INTO answers (name, at, digest, answer) VALUES (?, ?, ?, ?) RETURNING number"
            number = query.value(self._db, insert, name, now, digest, answer)
            self._db.execute("DELETE FROM answers WHERE number <= ?", (number - MAX_ANSWERS,))

        self._commits.run(change)

    def find(self, name: bytes) -> Kept | None:
        """The answer of a request, if it is kept.

        Raises:
            StoreError: It cannot be read.
        """
        statement = "SELECT digest, answer FROM answers WHERE name = ? AND at > ?"
        with self._commits.mutex:
            found = self._commits.read(Kept, statement, name, time.time() - KEEP_S)
        return found[0] if found else None
