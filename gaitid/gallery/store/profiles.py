"""The camera profiles of the galleries of a database: the means in use, and the statistics behind them.

For people who are not enrolled only their sum is stored, from `FEWEST` people on. The share of an enrolled
subject is sealed with her data key and deleted with her. A profile is then stale until its mean is made again
without her. The store calls all of it within its transactions, or while it holds the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import StoreCorrupt
from gaitid.gallery.scoring.learning import FEWEST, Share, Statistics
from gaitid.gallery.scoring.profiles import Profile, Profiles, Site, profiles_of
from gaitid.gallery.store import query
from gaitid.gallery.store.rows import GalleryRow
from gaitid.gallery.store.sealing import SealedRow, Sealing, sealed

_PROFILES = (
    "SELECT id, camera, direction, version, people, walks, weight, updated_at, vectors, key_name, data_key"
    " FROM profiles WHERE gallery = ? ORDER BY camera, direction"
)
_SHARES = (
    "SELECT h.profile AS profile, h.vector AS vector, h.walks AS walks, h.seen_at AS seen_at,"
    " s.id AS subject, s.name AS name, s.pseudonym AS pseudonym, s.key_name AS key_name,"
    " s.data_key AS data_key"
    " FROM shares h JOIN profiles p ON p.id = h.profile JOIN subjects s ON s.id = h.subject"
    " WHERE p.gallery = ? ORDER BY h.seen_at"
)


class _ProfileRow(NamedTuple):
    id: int
    camera: str
    direction: str
    version: int
    people: float
    walks: int
    weight: float
    updated_at: float
    vectors: bytes
    key_name: str | None
    data_key: bytes | None


class _ShareRow(NamedTuple):
    profile: int
    vector: bytes
    walks: int
    seen_at: float
    subject: int
    name: str
    pseudonym: bytes
    key_name: str | None
    data_key: bytes | None


class StoredProfiles:
    """The camera profiles of a database.

    Args:
        db: The database.
        sealing: Encrypts and decrypts them.
    """

    def __init__(self, db: sqlite3.Connection, sealing: Sealing) -> None:
        self._db, self._sealing = db, sealing

    def used(self, gallery: GalleryRow) -> Profiles:
        """Return the profiles that a gallery uses.

        Raises:
            KeyMissing: The key of one is missing, or does not open it.
            StoreCorrupt: One was changed, or belongs elsewhere.
        """
        rows = query.fetch(self._db, _ProfileRow, _PROFILES, gallery.key)
        used: dict[Site, Profile | None] = {
            Site(row.camera, row.direction): Profile(row.version, self._opened(gallery, row)[0], row.people)
            for row in rows
            if row.version
        }
        return profiles_of(gallery.parts, used)

    def known(self, gallery: GalleryRow) -> dict[Site, Statistics]:
        """Return all statistics of a gallery; raises as `used` does."""
        found: dict[int, Statistics] = {}
        sites: dict[Site, Statistics] = {}
        for row in query.fetch(self._db, _ProfileRow, _PROFILES, gallery.key):
            mean, others = self._opened(gallery, row)
            used = Profile(row.version, mean, row.people) if row.version else None
            one = Statistics(others.astype(np.float64), row.weight, {}, row.walks, row.updated_at, used)
            found[row.id] = sites[Site(row.camera, row.direction)] = one
        rows = query.fetch(self._db, _ShareRow, _SHARES, gallery.key)
        plain = self._sealing.unsealed(gallery.key, gallery.contract, rows)
        for share, vector in zip(rows, plain, strict=True):
            mean = _vectors(vector, 1, gallery)[0]
            found[share.profile].shares[share.name] = Share(
                share.pseudonym, mean.astype(np.float64), share.walks, share.seen_at
            )
        return sites

    def is_stale(self, gallery: GalleryRow) -> bool:
        """Whether a mean still rests on a subject that was erased."""
        return query.exists(self._db, "SELECT 1 FROM profiles WHERE gallery = ? AND stale", gallery.key)

    def mark_stale(self, subject: int) -> None:
        """Mark the means that rest on a subject, before it is erased."""
        self._db.execute(
            "UPDATE profiles SET stale = 1 WHERE version > 0"
            " AND id IN (SELECT profile FROM shares WHERE subject = ?)",
            (subject,),
        )

    def keep(self, gallery: GalleryRow, known: Mapping[Site, Statistics]) -> None:
        """Store the statistics of some sites, and the means in use."""
        for site, one in known.items():
            profile = self._keep_profile(gallery, site, one)
            self._keep_shares(gallery, profile, one.shares)

    def settle(self, gallery: GalleryRow) -> None:
        """Record that no mean of a gallery is stale."""
        self._db.execute("UPDATE profiles SET stale = 0 WHERE gallery = ? AND stale", (gallery.key,))

    def forget(self, gallery: GalleryRow, sites: Sequence[Site]) -> None:
        """Delete the profiles of some sites."""
        statement = "DELETE FROM profiles WHERE gallery = ? AND camera = ? AND direction = ?"
        self._db.executemany(statement, [(gallery.key, *site) for site in sites])

    def _keep_profile(self, gallery: GalleryRow, site: Site, one: Statistics) -> int:
        self._db.execute(
            "INSERT OR IGNORE INTO profiles (gallery, camera, direction, version, people, walks, weight,"
            " updated_at, stale, vectors) VALUES (?, ?, ?, 0, 0, 0, 0, 0, 0, x'')",
            (gallery.key, *site),
        )
        statement = "SELECT id FROM profiles WHERE gallery = ? AND camera = ? AND direction = ?"
        profile = int(query.value(self._db, statement, gallery.key, *site))
        zeros = np.zeros(gallery.dimension)
        is_sum = one.weight >= FEWEST  # a sum of one would be that person's vector
        mean = zeros if one.used is None else one.used.mean
        plain = np.stack([mean, one.others if is_sum else zeros]).astype("<f4").tobytes()
        vectors, name, wrapped = self._sealing.seal_apart(
            gallery.key, gallery.contract, f"profile {profile}", plain
        )
        self._db.execute(
            "UPDATE profiles SET version = ?, people = ?, walks = ?, weight = ?, updated_at = ?, vectors = ?,"
            " key_name = ?, data_key = ? WHERE id = ?",
            (
                0 if one.used is None else one.used.version,
                0.0 if one.used is None else one.used.people,
                one.walks,
                one.weight if is_sum else 0.0,
                one.updated,
                vectors,
                name,
                wrapped,
                profile,
            ),
        )
        return profile

    def _keep_shares(self, gallery: GalleryRow, profile: int, shares: Mapping[str, Share]) -> None:
        subjects = {
            name: found[0]
            for name, share in shares.items()
            if (found := query.column(self._db, _SUBJECT, gallery.key, name, share.owner))  # else erased
        }
        self._db.execute("DELETE FROM shares WHERE profile = ?", (profile,))
        for name, subject in subjects.items():
            share = shares[name]
            key = self._sealing.key(gallery.key, gallery.contract, subject)
            self._db.execute(
                "INSERT INTO shares (profile, subject, vector, walks, seen_at) VALUES (?, ?, ?, ?, ?)",
                (profile, subject, sealed(share.mean.astype("<f4").tobytes(), key), share.walks, share.seen),
            )

    def _opened(
        self, gallery: GalleryRow, row: _ProfileRow
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean in use (D,) and sum of visitors (D,) of a profile."""
        held = SealedRow(row.vectors, row.key_name, row.data_key, f"profile {row.id}")
        (plain,) = self._sealing.unsealed(gallery.key, gallery.contract, [held])
        mean, others = _vectors(plain, 2, gallery)
        return mean, others


_SUBJECT = "SELECT id FROM subjects WHERE gallery = ? AND name = ? AND pseudonym = ?"


def _vectors(plain: bytes, count: int, gallery: GalleryRow) -> NDArray[np.float32]:
    if len(plain) != 4 * count * gallery.dimension:
        raise StoreCorrupt(
            f"A camera profile of gallery {gallery.name} has {len(plain)} bytes",
            f"{4 * count * gallery.dimension} bytes",
            "Restore a backup",
        )
    return np.frombuffer(plain, "<f4").astype(np.float32).reshape(count, gallery.dimension)
