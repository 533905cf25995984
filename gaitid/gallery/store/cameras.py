"""The camera profiles of a store: loading, new versions, and the switch of each gallery.

Every method that changes a gallery takes `then`; see `gaitid.gallery.store.galleries`.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.caller import calling
from gaitid.gallery.scoring.learning import Statistics
from gaitid.gallery.scoring.profiles import Site
from gaitid.gallery.store import failpoints, query
from gaitid.gallery.store.connection import Connection
from gaitid.gallery.store.refusals import gallery_not_found
from gaitid.gallery.store.rows import Change, GalleryRow, no_templates
from gaitid.gallery.store.schema import typed
from gaitid.records import AuditAction

Known = Mapping[Site, Statistics]

_CAMERAS = "SELECT DISTINCT t.camera FROM templates t JOIN subjects s ON s.id = t.subject WHERE s.gallery = ?"
_AT = (
    "SELECT t.id FROM templates t JOIN subjects s ON s.id = t.subject"
    " WHERE s.gallery = ? AND t.camera IN (SELECT value FROM json_each(?)) ORDER BY t.id"
)


_ENROLLED = (
    "SELECT t.id AS id, s.name AS name, s.pseudonym AS pseudonym, t.camera AS camera,"
    " t.direction AS direction FROM templates t JOIN subjects s ON s.id = t.subject"
    " WHERE s.gallery = ? AND t.camera <> '' ORDER BY t.id DESC LIMIT ?"
)


class EnrolledRow(NamedTuple):
    """Where a template was recorded, and whose it is."""

    id: int
    name: str
    pseudonym: bytes
    camera: str
    direction: str


class CameraStore:
    """The camera profiles of a database.

    Args:
        connection: The open database.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._commits, self._db = connection.commits, connection.db

    def load(self, gallery: GalleryRow) -> tuple[dict[Site, Statistics], bool]:
        """Return all statistics of a gallery, and whether a mean rests on a subject that was erased.

        Raises:
            KeyMissing: A key is missing, or does not open what it sealed.
            StoreCorrupt: Something was changed, or belongs elsewhere.
        """
        with self._commits.mutex:
            self._commits.check_open()
            profiles = self._connection.profiles
            return profiles.known(gallery), profiles.is_stale(gallery)

    def templates(self, gallery: GalleryRow, is_meant: Callable[[str], bool]) -> NDArray[np.int64]:
        """Return the ids (M,) of the templates of the cameras meant, ascending; waits for no commit."""
        self._commits.check_open()
        try:
            with self._connection.readers.one() as db:
                meant = list(filter(is_meant, query.column(db, _CAMERAS, gallery.key)))
                return np.array(query.column(db, _AT, gallery.key, json.dumps(meant)), np.int64)
        except sqlite3.Error as error:
            raise typed(error, self._connection.path) from error

    def enrolled(self, gallery: GalleryRow, count: int) -> list[EnrolledRow]:
        """Return the `count` newest templates with a camera, oldest first."""
        with self._commits.mutex:
            rows = self._commits.read(EnrolledRow, _ENROLLED, gallery.key, count)
        return rows[::-1]

    def set_profiles(self, gallery: GalleryRow, profiles: bool, then: Callable[[Change], None]) -> Change:
        """Switch the camera profiles of a gallery on or off.

        Raises:
            GalleryNotFound: The gallery was deleted.
        """

        def change() -> Change:
            revision = self._connection.grow(gallery)
            self._db.execute("UPDATE galleries SET profiles = ? WHERE id = ?", (profiles, gallery.key))
            detail = "on" if profiles else "off"
            self._connection.note(AuditAction.SET_PROFILES, gallery, revision, detail=detail)
            return Change(no_templates(), revision, time.time())

        return self._commits.run(change, then)

    def publish(
        self,
        gallery: GalleryRow,
        take: Callable[[], Known],
        then: Callable[[Change], None],
        *,
        settles: bool,
    ) -> Change:
        """Store new versions of profiles with their statistics, which `take` returns.

        The audit trail records their number; not the cameras, whose names might contain a subject's.

        Args:
            gallery: The gallery.
            take: Returns the statistics; called within the change.
            then: See the module.
            settles: Whether no other mean rests on a subject that was erased.

        Raises:
            GalleryNotFound: The gallery was deleted.
        """

        def change() -> Change:
            revision = self._connection.grow(gallery)
            known = take()
            self._connection.profiles.keep(gallery, known)
            if settles:
                self._connection.profiles.settle(gallery)
            failpoints.reached("profiles published")
            with calling(actor="gaitid"):
                self._connection.note(AuditAction.LEARN_CAMERA, gallery, revision, count=len(known))
            return Change(no_templates(), revision, time.time())

        return self._commits.run(change, then)

    def keep(self, gallery: GalleryRow, take: Callable[[], Known]) -> None:
        """Store statistics that change no mean.

        Raises:
            GalleryNotFound: The gallery was deleted.
        """

        def change() -> None:
            if not query.exists(self._db, "SELECT 1 FROM galleries WHERE id = ?", gallery.key):
                raise gallery_not_found(gallery.name)
            self._connection.profiles.keep(gallery, take())

        self._commits.run(change)

    def forget(self, gallery: GalleryRow, sites: Sequence[Site], then: Callable[[Change], None]) -> Change:
        """Delete the profiles of some sites.

        Raises:
            GalleryNotFound: The gallery was deleted.
        """

        def change() -> Change:
            revision = self._connection.grow(gallery)
            self._connection.profiles.forget(gallery, sites)
            count = sum(bool(site.camera) for site in sites)  # without the general profile
            self._connection.note(AuditAction.FORGET_CAMERA, gallery, revision, count=count)
            self._commits.require_empty_log()
            return Change(no_templates(), revision, time.time())

        return self._commits.run(change, then)
