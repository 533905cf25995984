"""Which templates of the database are sealed, by whose data key, under which key of the ring.

A database that was plain is sealed in two stages, so that it can be cut short anywhere. First all subjects
get data keys, some commits at a time; then one commit wraps all keys for good. A key wrapped for good says
so, authenticated, and where there is one, nothing is plain any more: what is then was put there by somebody
without the keys, and is refused. Databases of older versions are at the first stage.

All of it is called by the store, within its transactions or while it holds what it reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gaitid.errors import KeyMissing, StoreCorrupt
from gaitid.gallery.store import failpoints

if TYPE_CHECKING:  # cryptography is imported by those who use keys
    from gaitid.gallery.store.keys import DataKey, KeyRing

FIRST, FINAL = b"", b"\x01"
"""Stages of the sealing: how a wrapped key begins, some others may be plain; none is."""
WRAPPED = 60
"""Bytes of a wrapped key after its stage: nonce, ciphertext, tag."""

_AT_ONCE = 100
"""Subjects of one commit of a rotation; other changes go in between."""

_IS_FINAL = f"key_name IS NOT NULL AND data_key IS NOT NULL AND length(data_key) > {WRAPPED}"


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
            raise KeyMissing(f"templates are sealed under key {found[0]!r}", "that key", "pass the key file")
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
        """Give a subject a data key; None without a ring."""
        if self._ring is None:
            return None
        key, name, wrapped = self._ring.new(_bound(gallery, contract, subject), self._stage)
        self._keep(subject, name, wrapped)
        return key

    def key(self, gallery: int, contract: str, subject: int) -> DataKey | None:
        """The data key of a subject; None when it is not sealed.

        Raises:
            StoreCorrupt: It is not, though the database is.
        """
        name, wrapped = self._db.execute(
            "SELECT key_name, data_key FROM subjects WHERE id = ?", (subject,)
        ).fetchone()
        return self._open(name, wrapped, _bound(gallery, contract, subject))

    def new_secret(self, gallery: int, contract: str, what: str) -> tuple[bytes, str, bytes]:
        """32 random bytes for a gallery, the name of the key that wraps them, and them wrapped.

        Raises:
            KeyMissing: There is no ring.
        """
        return self._need().new_secret(_bound(gallery, contract, what))

    def open_secret(self, gallery: int, contract: str, what: str, name: str, wrapped: bytes) -> bytes:
        """The bytes of such a secret.

        Raises:
            KeyMissing: Its key is not there, or does not open it.
            StoreCorrupt: It was not wrapped for good, though the database was.
        """
        self._check(name, wrapped)
        return self._need().open_secret(name, wrapped, _bound(gallery, contract, what))

    def seal_apart(
        self, gallery: int, contract: str, what: str, plain: bytes
    ) -> tuple[bytes, str | None, bytes | None]:
        """Something of a gallery under a data key of its own: sealed, key name and wrapped data key.

        Without a ring it stays plain, and there are none.
        """
        if self._ring is None:
            return plain, None, None
        key, name, wrapped = self._ring.new(_bound(gallery, contract, what))
        return key.seal(plain), name, wrapped

    def unsealed(self, gallery: int, contract: str, rows: Sequence[Sequence[Any]]) -> list[bytes]:
        """The plain vectors of rows (vector, key name, wrapped data key, subject) of one gallery.

        Raises:
            KeyMissing: The key of one is not there, or does not open it.
            StoreCorrupt: One was changed, belongs elsewhere, or is plain in a database that was sealed.
        """
        keys: dict[int | str, DataKey | None] = {}
        plain = []
        for vector, name, wrapped, subject in rows:
            if subject not in keys:
                keys[subject] = self._open(name, wrapped, _bound(gallery, contract, subject))
            key = keys[subject]
            plain.append(vector if key is None else key.unseal(vector))
        return plain

    def update_some(self, last: int) -> list[int]:
        """Seal what is plain, wrap by the key in use what is not, for the next subjects after `last`.

        Returns:
            Those subjects; none = all are up to date.
        """
        if self._ring is None:
            return []
        rows = self._db.execute(
            "SELECT s.id, s.key_name, s.data_key, g.id, g.contract FROM subjects s"
            " JOIN galleries g ON g.id = s.gallery WHERE s.id > ? AND s.key_name IS NOT ?"
            " ORDER BY s.id LIMIT ?",
            (last, self._ring.current, _AT_ONCE),
        ).fetchall()
        for subject, name, wrapped, gallery, contract in rows:
            self._check(name, wrapped)
            bound = _bound(gallery, contract, subject)
            if name is None:
                self._seal_templates(subject, self.new_key(gallery, contract, subject))
            else:
                self._keep(subject, *self._ring.rewrap(name, wrapped, bound, self._stage))
            failpoints.reached("subject under new key")
        return [row[0] for row in rows]

    def update_rest(self) -> int:
        """The same for all cohorts and projections at once, and wrap all keys for good, if they are not.

        Returns:
            How many there were to do.
        """
        if self._ring is None:
            return 0
        count = 0 if self._is_final else self._finish_subjects(self._ring)
        for gallery, contract, generation, name, wrapped in self._db.execute(
            "SELECT gallery, contract, generation, key_name, data_key FROM projections p"  # noqa: S608
            f" JOIN galleries g ON g.id = p.gallery WHERE key_name <> ? OR NOT ({_IS_FINAL})",
            (self._ring.current,),
        ).fetchall():
            self._check(name, wrapped)
            fresh = self._ring.rewrap(name, wrapped, _bound(gallery, contract, f"projection {generation}"))
            self._db.execute(
                "UPDATE projections SET key_name = ?, data_key = ? WHERE gallery = ? AND generation = ?",
                (*fresh, gallery, generation),
            )
            count += 1
        for gallery, contract, vectors, name, wrapped in self._db.execute(
            "SELECT gallery, contract, vectors, key_name, data_key FROM cohorts"  # noqa: S608
            f" WHERE key_name IS NOT ? OR NOT ({_IS_FINAL})",
            (self._ring.current,),
        ).fetchall():
            self._check(name, wrapped)
            if name is None:
                row = self.seal_apart(gallery, contract, "cohort", vectors)
            else:
                row = (vectors, *self._ring.rewrap(name, wrapped, _bound(gallery, contract, "cohort")))
            self._db.execute(
                "UPDATE cohorts SET vectors = ?, key_name = ?, data_key = ? WHERE gallery = ?",
                (*row, gallery),
            )
            count += 1
        self._is_final = True
        return count

    def _finish_subjects(self, ring: KeyRing) -> int:
        count = last = 0
        while rows := self._db.execute(
            "SELECT s.id, s.key_name, s.data_key, g.id, g.contract FROM subjects s"
            " JOIN galleries g ON g.id = s.gallery WHERE s.id > ? ORDER BY s.id LIMIT ?",
            (last, _AT_ONCE),
        ).fetchall():
            for subject, name, wrapped, gallery, contract in rows:
                self._keep(subject, *ring.rewrap(name, wrapped, _bound(gallery, contract, subject)))
            count, last = count + len(rows), rows[-1][0]
        return count

    def _first(self, condition: str) -> tuple[str | None] | None:
        """Name of the key of the first thing in the database of which that is so."""
        found: tuple[str | None] | None = self._db.execute(
            "SELECT key_name FROM (SELECT key_name, data_key FROM subjects"  # noqa: S608
            " UNION ALL SELECT key_name, data_key FROM projections"
            f" UNION ALL SELECT key_name, data_key FROM cohorts) WHERE {condition} LIMIT 1"
        ).fetchone()
        return found

    @property
    def _stage(self) -> bytes:
        return FINAL if self._is_final else FIRST

    def _check(self, name: str | None, wrapped: bytes | None) -> None:
        if self._is_final and (name is None or wrapped is None or len(wrapped) <= WRAPPED):
            raise _forged()

    def _open(self, name: str | None, wrapped: bytes, bound: bytes) -> DataKey | None:
        self._check(name, wrapped)
        return None if name is None else self._need().open(name, wrapped, bound)

    def _seal_templates(self, subject: int, key: DataKey | None) -> None:
        rows = self._db.execute("SELECT id, vector FROM templates WHERE subject = ?", (subject,)).fetchall()
        for template, vector in rows:
            self._db.execute("UPDATE templates SET vector = ? WHERE id = ?", (sealed(vector, key), template))

    def _keep(self, subject: int, name: str, wrapped: bytes) -> None:
        self._db.execute(
            "UPDATE subjects SET key_name = ?, data_key = ? WHERE id = ?", (name, wrapped, subject)
        )

    def _need(self) -> KeyRing:
        if self._ring is None:
            raise KeyMissing("no keys were given", "a store opened with keys", "pass the key file")
        return self._ring


def sealed(plain: bytes, key: DataKey | None) -> bytes:
    """`plain`, sealed when there is a key."""
    return plain if key is None else key.seal(plain)


def _forged() -> StoreCorrupt:
    return StoreCorrupt(
        "templates are not sealed, in a database that was sealed",
        "sealed ones only",
        "somebody without the keys put them there: restore a backup",
    )


def _bound(gallery: int, contract: str, what: int | str) -> bytes:
    """What a sealed thing belongs to: a subject, or a thing of the gallery by its name."""
    return f"{gallery}\0{contract}\0{what}".encode()
