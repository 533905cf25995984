"""The open database of a store, and what its galleries, subjects and trail share."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.store import query
from gaitid.gallery.store.audit import Audit, Note
from gaitid.gallery.store.clock import Clock
from gaitid.gallery.store.cohorts import Cohorts
from gaitid.gallery.store.commits import Commits
from gaitid.gallery.store.mark import Mark, Seen
from gaitid.gallery.store.mark import check as check_mark
from gaitid.gallery.store.profiles import StoredProfiles
from gaitid.gallery.store.readers import Readers
from gaitid.gallery.store.refusals import gallery_not_found
from gaitid.gallery.store.renewal import Projections
from gaitid.gallery.store.rows import GalleryRow
from gaitid.gallery.store.schema import corrupt, open_database
from gaitid.gallery.store.sealing import Sealed, Sealing
from gaitid.records import AuditAction

if TYPE_CHECKING:  # cryptography is imported only by those who use keys
    from gaitid.gallery.store.keys import KeyRing


class _State(NamedTuple):
    name: bytes
    secret: bytes
    marked: int


class Connection:
    """One SQLite connection that writes, others that read, and the helpers that work through them.

    Args:
        path: The database file; made when it does not exist.
        keys: Encrypt the templates; None = they are not encrypted.
        mark: File of the high-water mark. None = no mark.

    Attributes:
        path: The database file.
        db: The connection that writes; used within a change, or while `commits.mutex` is held.
        readers: Connections that read beside it.
        audit: The audit trail.
        clock: Tells whether expired subjects may be erased.
        commits: Runs changes.
        sealing: Encrypts and decrypts templates.
        projections: The projections of the galleries.
        cohorts: The cohorts of the galleries.
        profiles: Their camera profiles.
    """

    def __init__(self, path: Path, keys: KeyRing | None, mark: Path | None) -> None:
        self.path = path
        self._mark: Mark | None = None
        self.db: sqlite3.Connection = open_database(path)
        self.readers = Readers(path)
        try:
            self.audit = Audit(self.db)
            self.clock = Clock(self.db)
            self._mark = None if mark is None else self._marked(mark)
            self.commits = Commits(self.db, path, self.audit, self._mark)
            self.sealing = Sealing(self.db, keys)
            self.projections = Projections(self.db, self.sealing)
            self.cohorts = Cohorts(self.db, self.sealing)
            self.profiles = StoredProfiles(self.db, self.sealing)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release all files."""
        self.readers.close()
        self.db.close()
        if self._mark is not None:
            self._mark.close()

    def grow(self, gallery: GalleryRow) -> int:
        """Raise the revision of a gallery by one, within a change; return the new revision.

        Raises:
            GalleryNotFound: The gallery was deleted.
        """
        statement = "UPDATE galleries SET revision = revision + 1 WHERE id = ? RETURNING revision"
        revisions = query.column(self.db, statement, gallery.key)
        if not revisions:
            raise gallery_not_found(gallery.name)
        (revision,) = revisions
        return int(revision)

    def note(
        self,
        action: AuditAction,
        gallery: GalleryRow,
        revision: int,
        subject: bytes = b"",
        count: int = 0,
        **more: str,
    ) -> None:
        """Append an entry to the audit trail, within a change; `more` are fields of `Note`."""
        self.audit.append(Note(action, gallery.name, subject, revision=revision, count=count, **more))

    def unsealed(self, gallery: GalleryRow, rows: Sequence[Sealed]) -> NDArray[np.float32]:
        """Return the vectors (M, D) of stored templates, as stored.

        Raises:
            StoreCorrupt: A vector does not have the gallery's dimension.
        """
        plain = self.sealing.unsealed(gallery.key, gallery.contract, rows)
        if any(len(vector) != 4 * gallery.dimension for vector in plain):
            raise corrupt(self.path, f"a vector of gallery {gallery.name} has a wrong length")
        vectors = np.frombuffer(b"".join(plain), "<f4").astype(np.float32, copy=False)
        return vectors.reshape(-1, gallery.dimension)

    def insert(self, statement: str, *values: object) -> int:
        """Insert a row, within a change; return its id."""
        return int(self.db.execute(statement, values).lastrowid or 0)

    def _marked(self, path: Path) -> Mark:
        (state,) = query.fetch(self.db, _State, "SELECT name, secret, marked FROM state")
        check_mark(path, state.name, state.secret, state.marked, self.audit.hash_at)
        changes = query.value(self.db, "UPDATE state SET marked = changes RETURNING changes")
        return Mark(path, state.name, state.secret, Seen(changes, self.audit.head))
