"""The projections of the galleries of a database, and the renewal of their templates.

All templates of a gallery are under its newest projection, except during a renewal, when some are still under
an older one. Each template stores the generation of its projection, so a renewal may be interrupted at any
point, and searches and changes go on meanwhile. The store calls all of it within its transactions, or while
it holds the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gaitid.errors import StoreCorrupt
from gaitid.gallery.scoring.projection import Projection, Vectors
from gaitid.gallery.store import failpoints, query
from gaitid.gallery.store.rows import GalleryRow
from gaitid.gallery.store.sealing import Sealing, sealed

AT_ONCE = 400
"""Templates of one commit of a renewal; other changes go in between."""

Known = Mapping[int, Projection]
"""Projections of a gallery by generation; templates of generation 0 are under none."""


class _ProjectionRow(NamedTuple):
    generation: int
    key_name: str
    data_key: bytes


class _TemplateRow(NamedTuple):
    id: int
    vector: bytes
    key_name: str | None
    data_key: bytes | None
    subject: int
    generation: int


class Projections:
    """The projections of a database.

    Args:
        db: The database.
        sealing: Opens their keys.
    """

    def __init__(self, db: sqlite3.Connection, sealing: Sealing) -> None:
        self._db, self._sealing = db, sealing
        self._made: dict[tuple[int, bytes], Projection] = {}  # by gallery and wrapped key

    def of(self, gallery: GalleryRow, db: sqlite3.Connection | None = None) -> Known:
        """Return the projections of a gallery; any thread may call it with a connection of its own as `db`.

        Raises:
            KeyMissing: The key of one is missing, or does not open it.
        """
        statement = (
            "SELECT generation, key_name, data_key FROM projections WHERE gallery = ? ORDER BY generation"
        )
        known = {}
        for row in query.fetch(db or self._db, _ProjectionRow, statement, gallery.key):
            made = self._made.get((gallery.key, row.data_key))
            if made is None:
                what = f"projection {row.generation}"
                key = self._sealing.open_secret(
                    gallery.key, gallery.contract, what, row.key_name, row.data_key
                )
                made = self._made[gallery.key, row.data_key] = Projection(key, gallery.dimension)
            known[row.generation] = made
        self._forget_others(gallery, known)
        return known

    def begin(self, gallery: GalleryRow) -> None:
        """Give a gallery a new projection, unless a renewal is under way.

        Raises:
            KeyMissing: There is no ring to keep its key.
        """
        newest = max(self.of(gallery), default=0)
        if newest and self._is_under_way(gallery, newest):
            return
        what = f"projection {newest + 1}"
        _, name, wrapped = self._sealing.new_secret(gallery.key, gallery.contract, what)
        self._db.execute(
            "INSERT INTO projections (gallery, generation, key_name, data_key) VALUES (?, ?, ?, ?)",
            (gallery.key, newest + 1, name, wrapped),
        )

    def renew_some(self, gallery: GalleryRow, last: int) -> list[int]:
        """Bring the next templates after id `last` under the newest projection.

        Returns:
            Their ids; empty = all templates are under it.
        """
        known = self.of(gallery)
        newest = max(known, default=0)
        rows = query.fetch(
            self._db,
            _TemplateRow,  # CROSS: by the templates' ids, without sorting
            "SELECT t.id AS id, t.vector AS vector, s.key_name AS key_name, s.data_key AS data_key,"
            " s.id AS subject, t.generation AS generation"
            " FROM templates t CROSS JOIN subjects s ON s.id = t.subject"
            " WHERE t.id > ? AND s.gallery = ? AND t.generation <> ? ORDER BY t.id LIMIT ?",
            *(last, gallery.key, newest, AT_ONCE),
        )
        if not rows:
            return []
        plain = self._sealing.unsealed(gallery.key, gallery.contract, rows)
        vectors = np.frombuffer(b"".join(plain), "<f4").reshape(len(rows), -1)
        moved = under(vectors, [row.generation for row in rows], known, newest).astype("<f4", copy=False)
        for row, vector in zip(rows, moved, strict=True):
            key = self._sealing.key(gallery.key, gallery.contract, row.subject)
            self._db.execute(
                "UPDATE templates SET vector = ?, generation = ? WHERE id = ?",
                (sealed(vector.tobytes(), key), newest, row.id),
            )
            failpoints.reached("template under new projection")
        return [row.id for row in rows]

    def finish(self, gallery: GalleryRow) -> None:
        """Delete the projections that no template is under any more."""
        newest = max(self.of(gallery), default=0)
        if not self._holds_older(gallery, newest):
            self._db.execute(
                "DELETE FROM projections WHERE gallery = ? AND generation < ?", (gallery.key, newest)
            )

    def _forget_others(self, gallery: GalleryRow, known: Known) -> None:
        """Drop the projections of a gallery that were made for keys it no longer has."""
        all_made = self._made.copy()  # at once: other threads add to it
        if len(known) < sum(key == gallery.key for key, _ in all_made):
            self._made = {
                (key, wrapped): made
                for (key, wrapped), made in all_made.items()
                if made in known.values() or key != gallery.key
            }

    def _is_under_way(self, gallery: GalleryRow, newest: int) -> bool:
        statement = "SELECT 1 FROM projections WHERE gallery = ? AND generation < ?"
        return query.exists(self._db, statement, gallery.key, newest) or self._holds_older(gallery, newest)

    def _holds_older(self, gallery: GalleryRow, newest: int) -> bool:
        return query.exists(
            self._db,
            "SELECT 1 FROM subjects s JOIN templates t ON t.subject = s.id"
            " WHERE s.gallery = ? AND t.generation < ? LIMIT 1",
            *(gallery.key, newest),
        )


def under(vectors: Vectors, generations: Sequence[int], known: Known, target: int) -> Vectors:
    """Return stored vectors (N, D) as they are under the projection of generation `target`; 0 = under none.

    Raises:
        StoreCorrupt: A vector is under a projection that is missing.
    """
    held = np.array(generations, np.int64)
    if (held == target).all():
        return vectors
    moved = vectors.copy()
    for generation in np.unique(held[held != target]).tolist():
        if generation and generation not in known:
            raise StoreCorrupt(
                f"A template is under projection {generation}, which is missing",
                f"a projection among {', '.join(map(str, known)) or 'none'}",
                "Restore a backup",
            )
        some = vectors[held == generation]
        raw = known[generation].undo(some) if generation else some
        moved[held == generation] = known[target].apply(raw) if target else raw
    return moved
