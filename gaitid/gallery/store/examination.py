"""Checks of a database that no process has open: they read it, and never write to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gaitid.errors import GaitIdError, StoreCorrupt
from gaitid.gallery.scoring.calibration import ScoreCalibration
from gaitid.gallery.scoring.learning import Statistics
from gaitid.gallery.scoring.profiles import Site
from gaitid.gallery.store import mark as marks
from gaitid.gallery.store import query
from gaitid.gallery.store.audit import Audit, broken, check_chain
from gaitid.gallery.store.profiles import StoredProfiles
from gaitid.gallery.store.rows import GalleryRow, quality_of, terms_of
from gaitid.gallery.store.schema import FAILURES, SCHEMA, check_health, corrupt, lost, typed
from gaitid.gallery.store.sealing import Sealing
from gaitid.records import Fusion, Normalisation, OperatingPoint, check_direction, check_name

if TYPE_CHECKING:  # cryptography is imported only by those who use keys
    from gaitid.gallery.store.keys import KeyRing

_NORM_TOLERANCE = 1e-5
_AT_ONCE = 1000
"""Rows read at once."""


class _GalleryRow(NamedTuple):
    id: int
    name: str
    contract: str
    dimension: int
    fusion: str
    revision: int
    threshold: float
    review_band: float
    target_fmr: float | None
    target_fpir: float | None
    margin: float
    max_matches: int
    law: str | None


class _CohortRow(NamedTuple):
    gallery: int
    normalisation: str
    law: str


class _SubjectRow(NamedTuple):
    id: int
    name: str
    legal_basis: str
    purpose: str
    reference: str
    expires_at: float | None
    legal_hold: int


class _TemplateRow(NamedTuple):
    id: int
    vector: bytes
    key_name: str | None
    data_key: bytes | None
    subject: int
    quality: str | None


class _StateRow(NamedTuple):
    name: bytes
    secret: bytes
    changes: int
    marked: int


class _ChangesRow(NamedTuple):
    name: bytes
    changes: int


_GALLERIES = (
    "SELECT g.id AS id, g.name AS name, g.contract AS contract, dimension, fusion, revision, threshold,"
    " review_band, target_fmr, target_fpir, margin, max_matches, law FROM galleries g"
    " LEFT JOIN calibrations c ON c.gallery = g.id AND c.contract = g.contract"
)


class Facts(NamedTuple):
    """What a closed database contains, without its rows.

    Attributes:
        schema: Schema version.
        database: Identifier of the database, hexadecimal.
        changes: Changes that it has seen.
        subjects: Number of subjects.
        templates: Number of templates.
    """

    schema: int
    database: str
    changes: int
    subjects: int
    templates: int


class Examination:
    """The checks of one database; each returns what it checked.

    Args:
        db: A connection that only reads.
        path: The database file.
        keys: Its keys, when it is encrypted.
    """

    def __init__(self, db: sqlite3.Connection, path: Path, keys: KeyRing | None) -> None:
        self._db, self._path, self._keys = db, path, keys

    @property
    def is_current(self) -> bool:
        """Whether the database has the current schema, which the checks of its content need."""
        try:
            return bool(query.value(self._db, "PRAGMA user_version") == SCHEMA)
        except FAILURES:  # not a database, as `database` reports
            return False

    def database(self) -> str:
        """Check pages, indexes, layout, checksums and references.

        Raises:
            StoreCorrupt: The database is damaged.
        """
        version = check_health(self._db, self._path)
        if version == 0:
            raise lost(self._path)
        later = "" if version == SCHEMA else f"; the next start migrates it to {SCHEMA}, then check again"
        return (
            f"schema version {version}; pages, indexes, layout, row checksums and references are right{later}"
        )

    def galleries(self) -> str:
        """Check names, fusions, operating points and calibrations.

        Raises:
            StoreCorrupt: A value is impossible.
        """
        rows = query.fetch(self._db, _GalleryRow, _GALLERIES)
        for row in rows:
            with self._sound(f"gallery {row.name}"):
                _check_gallery(row)
        cohorts = "SELECT gallery, normalisation, law FROM cohorts"
        for cohort in query.each(self._db, _CohortRow, cohorts):
            with self._sound(f"the cohort of gallery {cohort.gallery}"):
                Normalisation(**json.loads(cohort.normalisation)["info"])
                ScoreCalibration.loads(cohort.law)
        changes = query.value(self._db, "SELECT changes FROM state")
        calibrated = sum(row.law is not None for row in rows)
        return f"{len(rows)}, {calibrated} of them calibrated; {changes} changes in all"

    def subjects(self) -> str:
        """Check names and terms, and that each subject has templates and a whole key.

        Raises:
            StoreCorrupt: A value is impossible, or something is missing.
        """
        count = 0
        statement = "SELECT id, name, legal_basis, purpose, reference, expires_at, legal_hold FROM subjects"
        for row in query.each(self._db, _SubjectRow, statement):
            with self._sound(f"subject {row.id}"):
                check_name(row.name, "subject")
                terms_of(row)
            count += 1
        incomplete = (
            "SELECT id FROM subjects WHERE (key_name IS NULL) <> (data_key IS NULL)"
            " OR id NOT IN (SELECT subject FROM templates) LIMIT 1"
        )
        for key in query.column(self._db, incomplete):
            raise corrupt(self._path, f"subject {key} lacks its templates or half of its key")
        return f"{count}, with their terms"

    def templates(self) -> str:
        """Decrypt all templates and check their length, norm and quality.

        Raises:
            StoreCorrupt: A template is damaged, or under a projection that is missing.
            KeyMissing: A template does not open.
        """
        sealing, count, sealed = Sealing(self._db, self._keys), 0, 0
        for gallery in query.fetch(self._db, _GalleryRow, _GALLERIES):
            for rows in self._batches(gallery):
                plain = sealing.unsealed(gallery.id, gallery.contract, rows)
                for row, vector in zip(rows, plain, strict=True):
                    with self._sound(f"template {row.id}"):
                        _check_template(row, vector, gallery.dimension)
                count, sealed = count + len(rows), sealed + sum(row.key_name is not None for row in rows)
        lost = (
            "SELECT t.id FROM templates t JOIN subjects s ON s.id = t.subject LEFT JOIN projections p"
            " ON p.gallery = s.gallery AND p.generation = t.generation"
            " WHERE t.generation > 0 AND p.gallery IS NULL LIMIT 1"
        )
        for key in query.column(self._db, lost):
            raise corrupt(self._path, f"template {key} is under a projection that is missing")
        return f"{count}, {sealed} of them sealed; length and norm are right"

    def profiles(self) -> str:
        """Decrypt all camera profiles and check length and norm of their means and of their subjects' shares.

        Raises:
            StoreCorrupt: One is damaged.
            KeyMissing: One does not open.
        """
        stored, count = StoredProfiles(self._db, Sealing(self._db, self._keys)), 0
        for row in query.fetch(self._db, _GalleryRow, _GALLERIES):
            gallery = GalleryRow(row.id, row.name, "", row.contract, row.dimension, Fusion.MAX, 0.0)
            with self._sound(f"the camera profiles of gallery {row.name}"):
                known = stored.known(gallery)
                for site, one in known.items():
                    _check_statistics(site, one)
            count += len(known)
        return f"{count}; length and norm of means and shares are right"

    def audit(self) -> str:
        """Check the hash chain of the audit trail.

        Raises:
            AuditBroken: An entry was changed, removed or moved.
        """
        trail = Audit(self._db)
        pages = (trail.page(after, _AT_ONCE) for after in range(0, trail.head.number, _AT_ONCE))
        end = check_chain(entry for page in pages for entry in page)
        if end != trail.head:
            raise broken(f"The trail ends with entry {end.number}, not {trail.head.number}")
        return f"{end.number} entries, unbroken"

    def mark(self, path: Path) -> str:
        """Compare the database with its mark.

        Raises:
            StoreRolledBack: The database is older than its mark.
            AuditBroken: The mark has seen another entry.
            StoreCorrupt: The mark is damaged, or of another database.
        """
        statement = "SELECT name, secret, changes, marked FROM state"
        (state,) = query.fetch(self._db, _StateRow, statement)
        seen = marks.check(path, state.name, state.secret, state.marked, Audit(self._db).hash_at)
        if seen is None:
            return f"there is none at {path} yet"
        return f"it has seen {seen.changes} changes, the database {state.changes}"

    def _batches(self, gallery: _GalleryRow) -> Iterator[list[_TemplateRow]]:
        rows = query.each(
            self._db,
            _TemplateRow,
            "SELECT t.id AS id, t.vector AS vector, s.key_name AS key_name, s.data_key AS data_key,"
            " s.id AS subject, t.quality AS quality FROM templates t"
            " JOIN subjects s ON s.id = t.subject WHERE s.gallery = ? ORDER BY s.id",
            gallery.id,
        )
        while some := list(islice(rows, _AT_ONCE)):
            yield some

    @contextmanager
    def _sound(self, what: str) -> Iterator[None]:
        """Raise errors within the context as `StoreCorrupt` about `what`."""
        try:
            yield
        except (GaitIdError, ValueError, TypeError, LookupError) as error:
            if isinstance(error, StoreCorrupt):
                raise
            raise corrupt(self._path, f"{what}: {error}") from error


@contextmanager
def examining(path: Path, keys: KeyRing | None) -> Iterator[Examination]:
    """Open a database for reading and yield its checks.

    Raises:
        StoreError: It cannot be opened.
    """
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() else "mode=ro&immutable=1"  # SQLite cannot create a log read-only
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)
    except sqlite3.Error as error:
        raise typed(error, path) from error
    with closing(db):
        yield Examination(db, path, keys)


def facts(path: Path) -> Facts:
    """Check the health of a closed database of any version, and return what it contains.

    Raises:
        StoreCorrupt: It is damaged, or of a newer gaitid.
        StoreError: It cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            schema = check_health(db, path)
            state = None
            if query.exists(db, "SELECT 1 FROM sqlite_master WHERE name = 'state'"):
                state = query.first(db, _ChangesRow, "SELECT name, changes FROM state")
            name, changes = state or (b"", 0)
            subjects = query.value(db, "SELECT count(*) FROM subjects")
            templates = query.value(db, "SELECT count(*) FROM templates")
            return Facts(schema, name.hex(), changes, subjects, templates)
    except FAILURES as error:
        raise typed(error, path) from error


def reindex(path: Path) -> bool:
    """Rebuild the indexes of a database from its rows, if that makes it whole; return whether it was needed.

    Raises:
        StoreCorrupt: The rows are damaged; nothing was changed.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as db:  # nothing changes without a commit
            if query.value(db, "PRAGMA integrity_check(1)") == "ok":
                return False
            db.execute("PRAGMA secure_delete = ON")
            db.execute("BEGIN IMMEDIATE")
            db.execute("REINDEX")
            check_health(db, path)
            db.execute("COMMIT")
            return True
    except FAILURES as error:
        raise typed(error, path) from error


def _check_gallery(row: _GalleryRow) -> None:
    check_name(row.name, "gallery")
    Fusion(row.fusion)
    OperatingPoint(
        row.threshold, row.review_band, row.target_fmr, row.target_fpir, row.margin, row.max_matches
    )
    if row.law is not None:
        ScoreCalibration.loads(row.law)
    if row.revision < 0 or row.dimension < 1:
        raise ValueError(f"revision {row.revision}, dimension {row.dimension}")


def _check_statistics(site: Site, one: Statistics) -> None:
    check_direction(site.direction)
    lengths = [(one.others, one.weight), *((share.mean, 1.0) for share in one.shares.values())]
    if one.used is not None:
        lengths.append((one.used.mean.astype(np.float64), 1.0))
    for vector, most in lengths:
        if not np.linalg.norm(vector) <= most + _NORM_TOLERANCE * (1 + most):
            raise ValueError(f"a vector of norm {np.linalg.norm(vector):.6f}, at most {most:g} is possible")
    if one.walks < 0 or one.weight < 0 or any(share.walks < 1 for share in one.shares.values()):
        raise ValueError(f"{one.walks} walks, weight {one.weight:g}")


def _check_template(row: _TemplateRow, plain: bytes, dimension: int) -> None:
    vector = np.frombuffer(plain, "<f4")
    norm = float(np.linalg.norm(vector.astype(np.float64)))
    if len(vector) != dimension or not abs(norm - 1) <= _NORM_TOLERANCE:
        raise ValueError(f"{len(vector)} dimensions of norm {norm:.6f}")
    if row.quality is not None:
        quality_of(row.quality)
