"""Which templates of the database are sealed (encrypted), with whose data key, under which key of the ring.

A plain database is sealed in two stages, so that the work may be interrupted at any point. First all
subjects get data keys, a few per commit; then one commit wraps all keys as final. A final key says so,
authenticated, and where there is one, nothing is plain any more: a plain row found later was put there by
somebody without the keys, and is refused. Databases of older versions are at the first stage.

The store calls all of it within its transactions, or while it holds the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gaitid.errors import KeyMissing, StoreCorrupt
from gaitid.gallery.store import failpoints, query

if TYPE_CHECKING:  # cryptography is imported only by those who use keys
    from gaitid.gallery.store.keys import DataKey, KeyRing

FIRST, FINAL = b"", b"\x01"
"""Prefix of a wrapped key at each stage: other rows may still be plain; no row is plain."""
WRAPPED = 60
"""Bytes of a wrapped key after its prefix: nonce, ciphertext, tag."""

_AT_ONCE = 100
"""Subjects of one commit of a rotation; other changes go in between."""

_IS_FINAL = f"key_name IS NOT NULL AND data_key IS NOT NULL AND length(data_key) > {WRAPPED}"
_SUBJECTS = (
    "SELECT s.id AS subject, s.key_name AS key_name, s.data_key AS data_key, g.id AS gallery,"
    " g.contract AS contract FROM subjects s JOIN galleries g ON g.id = s.gallery WHERE s.id > ?"
)


_COHORTS = (
    "SELECT c.rowid AS id, 'cohort' AS what, gallery, contract, vectors, key_name, data_key"  # noqa: S608
    f" FROM cohorts c WHERE key_name IS NOT ? OR NOT ({_IS_FINAL})"
)
_PROFILES = (
    "SELECT p.id AS id, 'profile ' || p.id AS what, gallery, contract,"  # noqa: S608
    " vectors, key_name, data_key"
    f" FROM profiles p JOIN galleries g ON g.id = p.gallery WHERE key_name IS NOT ? OR NOT ({_IS_FINAL})"
)


class Sealed(Protocol):
    """A stored vector as the rows of a query have it; `subject` is its owner, or another name for it."""

    @property
    def vector(self) -> bytes:
        """Encrypted when `key_name` is given."""

    @property
    def key_name(self) -> str | None:
        """The key of the ring that wraps the data key."""

    @property
    def data_key(self) -> bytes | None:
        """The data key, wrapped."""

    @property
    def subject(self) -> int | str:
        """The owner of the data key."""


class SealedRow(NamedTuple):
    """A `Sealed` without further columns."""

    vector: bytes
    key_name: str | None
    data_key: bytes | None
    subject: int | str


class _KeyRow(NamedTuple):
    key_name: str | None
    data_key: bytes | None


class _SubjectRow(NamedTuple):
    subject: int
    key_name: str | None
    data_key: bytes | None
    gallery: int
    contract: str


class _ProjectionRow(NamedTuple):
    gallery: int
    contract: str
    generation: int
    key_name: str
    data_key: bytes


class _ApartRow(NamedTuple):
    id: int
    what: str
    gallery: int
    contract: str
    vectors: bytes
    key_name: str | None
    data_key: bytes | None


class _VectorRow(NamedTuple):
    id: int
    vector: bytes


class Sealing:
    """The sealed part of a database.

    Args:
        db: The database.
        ring: Its keys; None = nothing is to be sealed.

    Raises:
        KeyMissing: Something is sealed, and there is no ring.
        StoreCorrupt: Something is plain in a database that was sealed.
    """

    def __init__(self, db: sqlite3.Connection, ring: KeyRing | None) -> None:
        self._db, self._ring = db, ring
        found = self._first("key_name IS NOT NULL")
        if found and ring is None:
            raise KeyMissing(
                f"Templates are sealed under key {found.key_name!r}, and no keys were given",
                "a key file that holds this key",
                "Pass the key file, or set GAITID_KEYS",
            )
        self._is_final = found is not None and self._first(_IS_FINAL) is not None
        if self._is_final and self._first(f"NOT ({_IS_FINAL})"):
            raise _forged()

    def reload(self) -> None:
        """Read the keys again.

        Raises:
            KeyMissing: There is no ring.
            ConfigError: They cannot be read.
        """
        self._need().reload()

    def new_key(self, gallery: int, contract: str, subject: int) -> DataKey | None:
        """Give a subject a data key; return None without a ring."""
        if self._ring is None:
            return None
        key, name, wrapped = self._ring.new(_bound(gallery, contract, subject), self._stage)
        self._keep(subject, name, wrapped)
        return key

    def key(self, gallery: int, contract: str, subject: int) -> DataKey | None:
        """Return the data key of a subject; None when the subject is not sealed.

        Raises:
            StoreCorrupt: The subject is not sealed, though the database is.
        """
        statement = "SELECT key_name, data_key FROM subjects WHERE id = ?"
        (row,) = query.fetch(self._db, _KeyRow, statement, subject)
        return self._open(row.key_name, row.data_key, _bound(gallery, contract, subject))

    def new_secret(self, gallery: int, contract: str, what: str) -> tuple[bytes, str, bytes]:
        """Make 32 random bytes for a gallery; return them, the name of the key that wraps them, and wrapped.

        Raises:
            KeyMissing: There is no ring.
        """
        return self._need().new_secret(_bound(gallery, contract, what))

    def open_secret(self, gallery: int, contract: str, what: str, name: str, wrapped: bytes) -> bytes:
        """Return the bytes of a secret made by `new_secret`.

        Raises:
            KeyMissing: Its key is missing, or does not open it.
            StoreCorrupt: It is not wrapped as final, though the database is.
        """
        self._check(name, wrapped)
        return self._need().open_secret(name, wrapped, _bound(gallery, contract, what))

    def seal_apart(
        self, gallery: int, contract: str, what: str, plain: bytes
    ) -> tuple[bytes, str | None, bytes | None]:
        """Seal data of a gallery with a data key of its own; return it sealed, key name and wrapped data key.

        Without a ring the data stay plain, and name and key are None.
        """
        if self._ring is None:
            return plain, None, None
        key, name, wrapped = self._ring.new(_bound(gallery, contract, what))
        return key.seal(plain), name, wrapped

    def unsealed(self, gallery: int, contract: str, rows: Sequence[Sealed]) -> list[bytes]:
        """Return the plain vectors of rows of one gallery.

        Raises:
            KeyMissing: The key of a row is missing, or does not open it.
            StoreCorrupt: A row was changed, belongs elsewhere, or is plain in a database that was sealed.
        """
        keys: dict[int | str, DataKey | None] = {}
        plain = []
        for row in rows:
            if row.subject not in keys:
                bound = _bound(gallery, contract, row.subject)
                keys[row.subject] = self._open(row.key_name, row.data_key, bound)
            key = keys[row.subject]
            plain.append(row.vector if key is None else key.unseal(row.vector))
        return plain

    def update_some(self, last: int) -> list[int]:
        """Seal the next plain subjects after id `last`, and wrap the keys of others by the key in use.

        Returns:
            The ids of those subjects; empty = all are up to date.
        """
        if self._ring is None:
            return []
        statement = f"{_SUBJECTS} AND s.key_name IS NOT ? ORDER BY s.id LIMIT ?"
        rows = query.fetch(self._db, _SubjectRow, statement, last, self._ring.current, _AT_ONCE)
        for row in rows:
            self._check(row.key_name, row.data_key)
            bound = _bound(row.gallery, row.contract, row.subject)
            if row.key_name is None:
                self._seal_vectors(row.subject, self.new_key(row.gallery, row.contract, row.subject))
            else:
                fresh = self._ring.rewrap(row.key_name, row.data_key or b"", bound, self._stage)
                self._keep(row.subject, *fresh)
            failpoints.reached("subject under new key")
        return [row.subject for row in rows]

    def update_rest(self) -> int:
        """Bring cohorts, projections and profiles under the key in use, and wrap all keys as final.

        Returns:
            How many rows were out of date.
        """
        if self._ring is None:
            return 0
        count = 0 if self._is_final else self._finish_subjects(self._ring)
        count += self._update_projections(self._ring)
        count += self._update_apart(self._ring, _COHORTS, "cohorts")
        count += self._update_apart(self._ring, _PROFILES, "profiles")
        self._is_final = True
        return count

    def _update_projections(self, ring: KeyRing) -> int:
        rows = query.fetch(
            self._db,
            _ProjectionRow,
            "SELECT gallery, contract, generation, key_name, data_key FROM projections p"  # noqa: S608
            f" JOIN galleries g ON g.id = p.gallery WHERE key_name <> ? OR NOT ({_IS_FINAL})",
            ring.current,
        )
        for row in rows:
            self._check(row.key_name, row.data_key)
            bound = _bound(row.gallery, row.contract, f"projection {row.generation}")
            fresh = ring.rewrap(row.key_name, row.data_key, bound)
            self._db.execute(
                "UPDATE projections SET key_name = ?, data_key = ? WHERE gallery = ? AND generation = ?",
                (*fresh, row.gallery, row.generation),
            )
        return len(rows)

    def _update_apart(self, ring: KeyRing, statement: str, table: str) -> int:
        """Bring the rows of a table that have a data key of their own under the key in use."""
        rows = query.fetch(self._db, _ApartRow, statement, ring.current)
        for row in rows:
            self._check(row.key_name, row.data_key)
            sealed_again: tuple[bytes, str | None, bytes | None]
            if row.key_name is None:
                sealed_again = self.seal_apart(row.gallery, row.contract, row.what, row.vectors)
            else:
                bound = _bound(row.gallery, row.contract, row.what)
                sealed_again = (row.vectors, *ring.rewrap(row.key_name, row.data_key or b"", bound))
            self._db.execute(
                f"UPDATE {table} SET vectors = ?, key_name = ?, data_key = ? WHERE rowid = ?",  # noqa: S608
                (*sealed_again, row.id),
            )
        return len(rows)

    def _finish_subjects(self, ring: KeyRing) -> int:
        count = last = 0
        statement = f"{_SUBJECTS} ORDER BY s.id LIMIT ?"
        while rows := query.fetch(self._db, _SubjectRow, statement, last, _AT_ONCE):
            for row in rows:
                bound = _bound(row.gallery, row.contract, row.subject)
                self._keep(row.subject, *ring.rewrap(row.key_name or "", row.data_key or b"", bound))
            count, last = count + len(rows), rows[-1].subject
        return count

    def _first(self, condition: str) -> _KeyRow | None:
        """Return the first key in the database that satisfies an SQL condition."""
        return query.first(
            self._db,
            _KeyRow,
            "SELECT key_name, data_key FROM (SELECT key_name, data_key FROM subjects"  # noqa: S608
            " UNION ALL SELECT key_name, data_key FROM projections"
            " UNION ALL SELECT key_name, data_key FROM cohorts"
            f" UNION ALL SELECT key_name, data_key FROM profiles) WHERE {condition} LIMIT 1",
        )

    @property
    def _stage(self) -> bytes:
        return FINAL if self._is_final else FIRST

    def _check(self, name: str | None, wrapped: bytes | None) -> None:
        if self._is_final and (name is None or wrapped is None or len(wrapped) <= WRAPPED):
            raise _forged()

    def _open(self, name: str | None, wrapped: bytes | None, bound: bytes) -> DataKey | None:
        self._check(name, wrapped)
        return None if name is None else self._need().open(name, wrapped or b"", bound)

    def _seal_vectors(self, subject: int, key: DataKey | None) -> None:
        for table in ("templates", "shares"):
            statement = f"SELECT id, vector FROM {table} WHERE subject = ?"  # noqa: S608
            for row in query.fetch(self._db, _VectorRow, statement, subject):
                self._db.execute(
                    f"UPDATE {table} SET vector = ? WHERE id = ?",  # noqa: S608
                    (sealed(row.vector, key), row.id),
                )

    def _keep(self, subject: int, name: str, wrapped: bytes) -> None:
        self._db.execute(
            "UPDATE subjects SET key_name = ?, data_key = ? WHERE id = ?", (name, wrapped, subject)
        )

    def _need(self) -> KeyRing:
        if self._ring is None:
            raise KeyMissing(
                "The store was opened without keys",
                "a store opened with keys",
                "Pass the key file, or set GAITID_KEYS",
            )
        return self._ring


def sealed(plain: bytes, key: DataKey | None) -> bytes:
    """Return `plain`, sealed when there is a key."""
    return plain if key is None else key.seal(plain)


def _forged() -> StoreCorrupt:
    return StoreCorrupt(
        "The database was sealed, but holds templates that are plain",
        "sealed templates only",
        "Restore a backup; somebody without the keys put them there",
    )


def _bound(gallery: int, contract: str, what: int | str) -> bytes:
    """What sealed data belong to: a subject by its id, or other data of the gallery by their name."""
    return f"{gallery}\0{contract}\0{what}".encode()
