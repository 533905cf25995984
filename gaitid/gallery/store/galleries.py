"""The galleries of a store: how each one decides, and its templates as a search needs them.

Every method that changes a gallery takes `then`. It is called with the result after the commit and before
the acknowledgement, one change at a time, in the order of the commits, so that an index can follow. It must
not raise and must not call the store.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import GalleryExists, NotCalibrated
from gaitid.gallery.scoring.calibration import ScoreCalibration
from gaitid.gallery.scoring.cohort import Cohort
from gaitid.gallery.scoring.policy import Policy, described
from gaitid.gallery.scoring.profiles import Site
from gaitid.gallery.scoring.projection import Projection
from gaitid.gallery.scoring.space import Space
from gaitid.gallery.store import failpoints, query
from gaitid.gallery.store.audit import Note
from gaitid.gallery.store.connection import Connection
from gaitid.gallery.store.refusals import gallery_not_found, subject_held
from gaitid.gallery.store.renewal import Known, under
from gaitid.gallery.store.rows import Change, Contents, GalleryRow, no_templates, terms_of
from gaitid.gallery.store.schema import typed
from gaitid.records import AuditAction, Fusion, OperatingPoint

_ALL = "SELECT id, name, encoder, contract, dimension, fusion, created_at, parts FROM galleries ORDER BY name"
_STATE = (
    "SELECT revision, threshold, review_band, target_fmr, target_fpir, margin, max_matches, profiles, law"
    " FROM galleries g LEFT JOIN calibrations c ON c.gallery = g.id AND c.contract = g.contract"
    " WHERE g.id = ?"
)
_SUBJECTS = "SELECT id, name, enrolled_at, pseudonym FROM subjects WHERE gallery = ?"
_OWNERS = (
    "SELECT t.id AS id, t.subject AS subject FROM templates t JOIN subjects s ON s.id = t.subject"
    " WHERE s.gallery = ? ORDER BY t.id"
)
_TEMPLATES = (
    "SELECT t.id AS id, s.name AS name, s.enrolled_at AS enrolled_at, s.pseudonym AS pseudonym,"
    " t.vector AS vector, s.key_name AS key_name, s.data_key AS data_key, s.id AS subject,"
    " t.generation AS generation, t.camera AS camera, t.direction AS direction"
    " FROM templates t JOIN subjects s ON s.id = t.subject WHERE "
)
_VECTORS = (  # CROSS: the templates are looked up, not all subjects of the gallery
    "SELECT t.id AS id, t.vector AS vector, s.key_name AS key_name, s.data_key AS data_key,"
    " s.id AS subject, t.generation AS generation, t.camera AS camera, t.direction AS direction"
    " FROM templates t CROSS JOIN subjects s ON s.id = t.subject"
    " WHERE t.id IN (SELECT value FROM json_each(?)) AND s.gallery = ? ORDER BY t.id"
)
_TERMS = (
    "SELECT name, legal_basis, purpose, reference, expires_at, legal_hold FROM subjects"
    " WHERE gallery = ? AND (legal_basis <> '' OR purpose <> '' OR reference <> ''"
    " OR expires_at IS NOT NULL OR legal_hold)"
)
_DRAWN = (  # by Knuth's multiplicative hash of their keys
    "s.id IN (SELECT id FROM subjects WHERE gallery = ?"
    " AND (expires_at IS NULL OR expires_at > ? OR legal_hold)"
    " ORDER BY id * 2654435761 % 4294967296 LIMIT ?) ORDER BY t.id"
)
_UNDECIDED = (
    "SELECT 1 FROM galleries g WHERE id = ? AND (target_fmr IS NOT NULL OR target_fpir IS NOT NULL)"
    " AND NOT EXISTS (SELECT 1 FROM calibrations c WHERE c.gallery = g.id AND c.contract = g.contract)"
    " AND NOT EXISTS (SELECT 1 FROM cohorts c WHERE c.gallery = g.id AND c.contract = g.contract)"
)
"""Finds a gallery whose operating point names a target rate, and that has no calibration."""


class _GalleryRow(NamedTuple):
    id: int
    name: str
    encoder: str
    contract: str
    dimension: int
    fusion: str
    created_at: float
    parts: int


class _StateRow(NamedTuple):
    revision: int
    threshold: float
    review_band: float
    target_fmr: float | None
    target_fpir: float | None
    margin: float
    max_matches: int
    profiles: int
    law: str | None


class _SubjectRow(NamedTuple):
    id: int
    name: str
    enrolled_at: float
    pseudonym: bytes


class _OwnerRow(NamedTuple):
    id: int
    subject: int


class _TemplateRow(NamedTuple):
    id: int
    name: str
    enrolled_at: float
    pseudonym: bytes
    vector: bytes
    key_name: str | None
    data_key: bytes | None
    subject: int
    generation: int
    camera: str
    direction: str


class _VectorRow(NamedTuple):
    id: int
    vector: bytes
    key_name: str | None
    data_key: bytes | None
    subject: int
    generation: int
    camera: str
    direction: str


class _TermsRow(NamedTuple):
    name: str
    legal_basis: str
    purpose: str
    reference: str
    expires_at: float | None
    legal_hold: int


class _NameRow(NamedTuple):
    name: str


class Galleries:
    """The galleries of a database.

    Args:
        connection: The open database.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._commits, self._db = connection.commits, connection.db

    def all(self) -> list[GalleryRow]:
        """Return all galleries, by name."""
        with self._commits.mutex:
            rows = self._commits.read(_GalleryRow, _ALL)
        return [
            GalleryRow(
                row.id,
                row.name,
                row.encoder,
                row.contract,
                row.dimension,
                Fusion(row.fusion),
                row.created_at,
                row.parts,
            )
            for row in rows
        ]

    # -- reading -----------------------------------------------------------------------------------

    def contents(
        self, gallery: GalleryRow, *, most_subjects: int | None = None, vectors: bool = True
    ) -> Contents:
        """Return everything an index of a gallery needs.

        Args:
            gallery: The gallery.
            most_subjects: Of so many subjects at most, always the same arbitrary ones, without the expired;
                None = of all.
            vectors: Include the vectors; else they are (0, D), and `vectors` reads them.

        Raises:
            GalleryNotFound: The gallery was deleted.
            StoreCorrupt: A vector does not have the gallery's dimension.
        """
        commits, connection = self._commits, self._connection
        with commits.mutex:
            states = commits.read(_StateRow, _STATE, gallery.key)
            rows: list[_TemplateRow] = []
            owners: Sequence[_TemplateRow | _SubjectRow]
            if vectors:
                rows = self._templates(gallery, most_subjects)
                ids, owners = [row.id for row in rows], rows
            else:
                ids, owners = self._owners(gallery)
            terms = commits.read(_TermsRow, _TERMS, gallery.key)
            known = connection.projections.of(gallery)
            newest = max(known, default=0)
            space = Space(gallery.dimension, newest, known.get(newest))
            if states and states[0].profiles:
                space = replace(space, profiles=connection.profiles.used(gallery))
            cohort = connection.cohorts.of(gallery, known, space)
        if not states:
            raise gallery_not_found(gallery.name)
        (state,) = states
        stored = connection.unsealed(gallery, rows)
        calibration = None if state.law is None else ScoreCalibration.loads(state.law)
        return Contents(
            np.array(ids, np.int64),
            [row.name for row in owners],
            [row.enrolled_at for row in owners],
            [row.pseudonym for row in owners],
            space.place_stored(under(stored, [row.generation for row in rows], known, newest), _sites(rows)),
            {row.name: terms_of(row) for row in terms},
            state.revision,
            Policy(_operating_point(state), calibration if cohort is None else cohort.calibration),
            replace(space, normaliser=None if cohort is None else cohort.normaliser),
            None if cohort is None else cohort.info,
            bool(state.profiles),
        )

    def vectors(
        self, gallery: GalleryRow, ids: NDArray[np.int64], space: Space | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return which of the templates `ids` (M,) exist, ascending, and their vectors (M', D) float32.

        Reads the last commit, and waits for none. The vectors are placed in `space` (None = as they were
        enrolled), even when a renewal has begun or ended since that was the space of the gallery.

        Raises:
            StoreCorrupt: A vector does not have the gallery's dimension.
        """
        self._commits.check_open()
        space = space or Space(gallery.dimension)
        try:
            with self._connection.readers.one() as db:
                rows, known = self._read_vectors(db, gallery, ids, space)
        except sqlite3.Error as error:
            raise typed(error, self._connection.path) from error
        if space.projection is not None:
            known[space.generation] = space.projection
        found = np.array([row.id for row in rows], np.int64)
        stored = self._connection.unsealed(gallery, rows)
        rotated = under(stored, [row.generation for row in rows], known, space.generation)
        return found, space.place_stored(rotated, _sites(rows))

    def _read_vectors(
        self, db: sqlite3.Connection, gallery: GalleryRow, ids: NDArray[np.int64], space: Space
    ) -> tuple[list[_VectorRow], dict[int, Projection]]:
        """Return the rows of templates, and the projections that place them in `space`, if some need it."""
        wanted = json.dumps(ids.tolist())
        rows = query.fetch(db, _VectorRow, _VECTORS, wanted, gallery.key)
        if all(row.generation == space.generation for row in rows):
            return rows, {}
        with _snapshot(db):
            rows = query.fetch(db, _VectorRow, _VECTORS, wanted, gallery.key)
            return rows, dict(self._connection.projections.of(gallery, db))

    def _templates(self, gallery: GalleryRow, most_subjects: int | None) -> list[_TemplateRow]:
        if most_subjects is None:
            return self._commits.read(_TemplateRow, _TEMPLATES + "s.gallery = ? ORDER BY t.id", gallery.key)
        return self._commits.read(_TemplateRow, _TEMPLATES + _DRAWN, gallery.key, time.time(), most_subjects)

    def _owners(self, gallery: GalleryRow) -> tuple[list[int], list[_SubjectRow]]:
        """Return the ids of all templates and the subject of each, which shares one row among its own."""
        subjects = {row.id: row for row in self._commits.read(_SubjectRow, _SUBJECTS, gallery.key)}
        rows = self._commits.read(_OwnerRow, _OWNERS, gallery.key)
        return [row.id for row in rows], [subjects[row.subject] for row in rows]

    # -- changes -----------------------------------------------------------------------------------

    def create(
        self,
        name: str,
        encoder: str,
        contract: str,
        dimension: int,
        operating_point: OperatingPoint,
        *,
        fusion: Fusion = Fusion.MAX,
        calibration: ScoreCalibration | None = None,
        parts: int = 1,
        profiles: bool = False,
    ) -> GalleryRow:
        """Create an empty gallery of revision 0, calibrated or not.

        Raises:
            GalleryExists: The name is taken.
            InputError: The name contains the name of a subject.
        """

        def change() -> GalleryRow:
            if query.exists(self._db, "SELECT 1 FROM galleries WHERE name = ?", name):
                raise GalleryExists(
                    f"Gallery {name!r} already exists", "a new name", "Delete it, or choose another name"
                )
            self._connection.audit.admit_words(name, "Gallery name")
            now = time.time()
            key = self._connection.insert(
                "INSERT INTO galleries (name, encoder, contract, dimension, fusion, threshold, review_band,"
                " target_fmr, target_fpir, margin, max_matches, revision, created_at, parts, profiles)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)",
                *(name, encoder, contract, dimension, fusion.value, *astuple(operating_point)),
                *(now, parts, profiles),
            )
            detail = f"{encoder}, {described(operating_point)}"
            self._connection.audit.append(Note(AuditAction.CREATE_GALLERY, name, detail=detail))
            made = GalleryRow(key, name, encoder, contract, dimension, fusion, now, parts)
            if calibration is not None:
                self._store_calibration(made, calibration)
            return made

        return self._commits.run(change)

    def set_operating_point(
        self, gallery: GalleryRow, operating_point: OperatingPoint, then: Callable[[Change], None]
    ) -> Change:
        """Set the operating point.

        Raises:
            GalleryNotFound: The gallery was deleted.
            NotCalibrated: It names a target rate, and the gallery is not calibrated.
        """

        def change() -> Change:
            revision = self._connection.grow(gallery)
            self._db.execute(
                "UPDATE galleries SET threshold = ?, review_band = ?, target_fmr = ?, target_fpir = ?,"
                " margin = ?, max_matches = ? WHERE id = ?",
                (*astuple(operating_point), gallery.key),
            )
            self._check_decidable(gallery)
            detail = described(operating_point)
            self._connection.note(AuditAction.SET_OPERATING_POINT, gallery, revision, detail=detail)
            return Change(no_templates(), revision, time.time())

        return self._commits.run(change, then)

    def set_calibration(
        self, gallery: GalleryRow, calibration: ScoreCalibration, then: Callable[[Change], None]
    ) -> Change:
        """Set the calibration, of plain or of normalised scores.

        Raises:
            GalleryNotFound: The gallery was deleted.
            NotCalibrated: It is of normalised scores, and the gallery does not normalise.
        """

        def change() -> Change:
            revision = self._connection.grow(gallery)
            self._store_calibration(gallery, calibration)
            info = calibration.info
            source = info.source.value
            self._connection.note(
                AuditAction.CALIBRATE, gallery, revision, count=info.comparisons, detail=source
            )
            return Change(no_templates(), revision, time.time())

        return self._commits.run(change, then)

    def set_cohort(
        self, gallery: GalleryRow, cohort: Cohort, generation: int, then: Callable[[Change], None]
    ) -> Change:
        """Normalise scores by a cohort that is under the projection of `generation`.

        Raises:
            GalleryNotFound: The gallery was deleted.
            NotCalibrated: The templates were renewed meanwhile.
        """

        def change() -> Change:
            revision = self._connection.grow(gallery)
            newest = max(self._connection.projections.of(gallery), default=0)
            if newest != generation:
                raise NotCalibrated(
                    f"The templates were renewed meanwhile, from generation {generation} to {newest}",
                    "no renewal while a cohort is checked",
                    "Call normalise again",
                )
            self._connection.cohorts.keep(gallery, cohort, generation)
            info = cohort.info
            found = f"fpir {info.fpir:g}, found {info.before:.4f} before, {info.after:.4f} after"
            self._connection.note(AuditAction.NORMALISE, gallery, revision, count=info.cohort, detail=found)
            self._commits.require_empty_log()
            return Change(no_templates(), revision, time.time())

        return self._commits.run(change, then)

    def erase_cohort(self, gallery: GalleryRow, then: Callable[[Change], None]) -> Change:
        """Erase the cohort: scores are plain again.

        Raises:
            GalleryNotFound: The gallery was deleted.
            NotCalibrated: The operating point names a target rate, and plain scores are not calibrated.
        """

        def change() -> Change:
            revision = self._connection.grow(gallery)
            self._connection.cohorts.erase(gallery)
            self._check_decidable(gallery)
            self._connection.note(AuditAction.STOP_NORMALISING, gallery, revision)
            self._commits.require_empty_log()
            return Change(no_templates(), revision, time.time())

        return self._commits.run(change, then)

    def delete(self, gallery: GalleryRow, then: Callable[[None], None]) -> None:
        """Erase a gallery with all its subjects.

        Raises:
            GalleryNotFound: The gallery was deleted before.
            SubjectHeld: A subject is under a legal hold.
        """

        def change() -> None:
            held = query.first(
                self._db, _NameRow, "SELECT name FROM subjects WHERE gallery = ? AND legal_hold", gallery.key
            )
            if held:
                raise subject_held(held.name)
            statement = "SELECT count(*) FROM subjects WHERE gallery = ?"
            count = query.value(self._db, statement, gallery.key)
            revision = self._connection.grow(gallery)
            self._db.execute("DELETE FROM galleries WHERE id = ?", (gallery.key,))
            self._connection.note(AuditAction.DELETE_GALLERY, gallery, revision, count=count)
            self._commits.require_empty_log()

        self._commits.run(change, then)

    def renew_templates(self, gallery: GalleryRow, then: Callable[[Change], None]) -> int:
        """Bring all templates of a gallery under a new projection; return how many were brought.

        Searches and other changes go on meanwhile, and what was loaded of the gallery before stays valid. An
        interrupted renewal is finished by the next call, which begins no other.

        Raises:
            GalleryNotFound: The gallery was deleted.
            KeyMissing: The store was opened without keys.
            InputError: See `Trail.introduce`.
        """
        self._commits.run(partial(self._begin_renewal, gallery))
        count = last = 0
        while done := self._commits.run(partial(self._connection.projections.renew_some, gallery, last)):
            count, last = count + len(done), done[-1]
            failpoints.reached("between renewal commits")
        self._commits.run(partial(self._finish_renewal, gallery, count), then)
        return count

    # -- within a change ---------------------------------------------------------------------------

    def _begin_renewal(self, gallery: GalleryRow) -> None:
        if not query.exists(self._db, "SELECT 1 FROM galleries WHERE id = ?", gallery.key):
            raise gallery_not_found(gallery.name)
        self._connection.audit.introduce()
        self._connection.projections.begin(gallery)

    def _finish_renewal(self, gallery: GalleryRow, count: int) -> Change:
        connection = self._connection
        revision = connection.grow(gallery)
        known: Known = connection.projections.of(gallery)
        newest = max(known, default=0)
        cohort = connection.cohorts.of(gallery, known, Space(gallery.dimension, newest, known.get(newest)))
        if cohort is not None:
            connection.cohorts.keep(gallery, cohort, newest)
        connection.projections.finish(gallery)
        connection.note(AuditAction.RENEW_TEMPLATES, gallery, revision, count=count)
        self._commits.require_empty_log()
        return Change(no_templates(), revision, time.time())

    def _check_decidable(self, gallery: GalleryRow) -> None:
        """Return if the gallery can decide: an operating point by target rate needs a calibration."""
        if query.exists(self._db, _UNDECIDED, gallery.key):
            raise NotCalibrated(
                "The operating point names a target rate, and plain scores are not calibrated",
                "a threshold, or a calibrated gallery",
                "Set a threshold now, and the rate once the gallery is calibrated",
            )

    def _store_calibration(self, gallery: GalleryRow, calibration: ScoreCalibration) -> None:
        if calibration.info.normalised:
            self._connection.cohorts.set_calibration(gallery, calibration)
            return
        self._db.execute(
            "INSERT OR REPLACE INTO calibrations (gallery, contract, law) VALUES (?, ?, ?)",
            (gallery.key, gallery.contract, calibration.dumps()),
        )


def _sites(rows: Sequence[_TemplateRow | _VectorRow]) -> list[Site]:
    """Return the sites of templates; equal ones are one object, since there are many templates."""
    known: dict[Site, Site] = {}
    sites = (Site(row.camera, row.direction) for row in rows)
    return [known.setdefault(site, site) for site in sites]


def _operating_point(row: _StateRow) -> OperatingPoint:
    return OperatingPoint(
        row.threshold, row.review_band, row.target_fmr, row.target_fpir, row.margin, row.max_matches
    )


@contextmanager
def _snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """Make all reads within the context see one commit."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")
