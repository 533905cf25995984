"""The projections of the galleries of a database, and the renewal of their templates.

A gallery's templates are under its newest projection, or while a renewal is under way some are under an
older one, each with its generation beside it. So a renewal may be cut short anywhere, and searches and
changes go on meanwhile. All of it is called by the store, within its transactions or while it holds
what it reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np

from gaitid.errors import StoreCorrupt
from gaitid.gallery.scoring.projection import Projection, Vectors
from gaitid.gallery.store import failpoints
from gaitid.gallery.store.rows import GalleryRow
from gaitid.gallery.store.sealing import Sealing, sealed

AT_ONCE = 400
"""Templates of one commit of a renewal; other changes go in between."""

Known = Mapping[int, Projection]
"""The projections of a gallery by generation; templates of generation 0 are under none."""


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
        """The projections of a gallery; read by a connection of its own, any thread may ask.

        Raises:
            KeyMissing: The key of one is not there, or does not open it.
        """
        rows = (
            (db or self._db)
            .execute(
                "SELECT generation, key_name, data_key FROM projections WHERE gallery = ?", (gallery.key,)
            )
            .fetchall()
        )
        known = {}
        for generation, name, wrapped in sorted(rows):
            made = self._made.get((gallery.key, wrapped))
            if made is None:
                what = f"projection {generation}"
                key = self._sealing.open_secret(gallery.key, gallery.contract, what, name, wrapped)
                made = self._made[gallery.key, wrapped] = Projection(key, gallery.dimension)
            known[generation] = made
        if len(known) < sum(place[0] == gallery.key for place in self._made):
            self._made = {
                place: made
                for place, made in self._made.items()
                if made in known.values() or place[0] != gallery.key
            }
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
        """Bring the next templates after number `last` under the newest projection.

        Returns:
            Their numbers; none = all are.
        """
        known = self.of(gallery)
        newest = max(known, default=0)
        rows = self._db.execute(  # CROSS: by the templates' number, without sorting
            "SELECT t.vector, s.key_name, s.data_key, s.id, t.id, t.generation"
            " FROM templates t CROSS JOIN subjects s ON s.id = t.subject"
            " WHERE t.id > ? AND s.gallery = ? AND t.generation <> ? ORDER BY t.id LIMIT ?",
            (last, gallery.key, newest, AT_ONCE),
        ).fetchall()
        if not rows:
            return []
        plain = self._sealing.unsealed(gallery.key, gallery.contract, [row[:4] for row in rows])
        vectors = np.frombuffer(b"".join(plain), "<f4").reshape(len(rows), -1)
        moved = under(vectors, [row[5] for row in rows], known, newest).astype("<f4", copy=False)
        for row, vector in zip(rows, moved, strict=True):
            key = self._sealing.key(gallery.key, gallery.contract, row[3])
            self._db.execute(
                "UPDATE templates SET vector = ?, generation = ? WHERE id = ?",
                (sealed(vector.tobytes(), key), newest, row[4]),
            )
            failpoints.reached("template under new projection")
        return [row[4] for row in rows]

    def finish(self, gallery: GalleryRow) -> None:
        """Forget the projections that nothing is under any more."""
        newest = max(self.of(gallery), default=0)
        if not self._holds_older(gallery, newest):
            self._db.execute(
                "DELETE FROM projections WHERE gallery = ? AND generation < ?", (gallery.key, newest)
            )

    def _is_under_way(self, gallery: GalleryRow, newest: int) -> bool:
        older = self._db.execute(
            "SELECT 1 FROM projections WHERE gallery = ? AND generation < ?", (gallery.key, newest)
        ).fetchone()
        return older is not None or self._holds_older(gallery, newest)

    def _holds_older(self, gallery: GalleryRow, newest: int) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM subjects s JOIN templates t ON t.subject = s.id"
            " WHERE s.gallery = ? AND t.generation < ? LIMIT 1",
            (gallery.key, newest),
        ).fetchone()
        return found is not None


def under(vectors: Vectors, generations: Sequence[int], known: Known, target: int) -> Vectors:
    """Stored vectors (N, D) as they are under the projection of generation `target`; 0 = under none.

    Raises:
        StoreCorrupt: One is under a projection that is gone.
    """
    held = np.array(generations, np.int64)
    if (held == target).all():
        return vectors
    moved = vectors.copy()
    for generation in np.unique(held[held != target]).tolist():
        if generation and generation not in known:
            raise StoreCorrupt(
                f"a template is under projection {generation}, which is gone",
                f"one of {', '.join(map(str, known)) or 'none'}",
                "restore a backup",
            )
        some = vectors[held == generation]
        raw = known[generation].undo(some) if generation else some
        moved[held == generation] = known[target].apply(raw) if target else raw
    return moved
