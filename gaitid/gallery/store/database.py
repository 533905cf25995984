"""The truth about galleries: one SQLite database in a data directory of its own.

    <directory>/gaitid.db      galleries, subjects, templates (WAL, synchronous=FULL)
    <directory>/gaitid.lock    held by the one process that may open the directory
    <directory>/gaitid.identity    signs receipts, see `identity`

A change is acknowledged after its commit has reached the disk. Changes that arrive while a commit
is under way share the next one (group commit). A deletion overwrites what it frees
(`secure_delete`) and empties the write-ahead log before it is acknowledged, so the deleted bytes
are in no file of the directory; what the disk below keeps of overwritten blocks is out of reach.

Every change is on record in the audit trail (`gallery.audit`) by the same transaction; searches are
within the time that is asked for.

With a `keys.KeyRing` all vectors are sealed, and all data keys wrapped by the key in use, from the
opening on; what was plain or under an older key is brought up to date first. Names stay readable.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gaitid.caller import current
from gaitid.errors import (
    DecisionNotFound,
    GalleryExists,
    GalleryNotFound,
    MissingDependency,
    NotCalibrated,
    StoreError,
    SubjectExists,
    SubjectHeld,
    SubjectNotFound,
)
from gaitid.gallery.scoring.calibration import ScoreCalibration
from gaitid.gallery.scoring.policy import Policy, described
from gaitid.gallery.scoring.projection import Projection
from gaitid.gallery.scoring.space import Space
from gaitid.gallery.store import failpoints
from gaitid.gallery.store.audit import MOST_WAITING, Audit, Flusher, Head, Note, broken, check_chain
from gaitid.gallery.store.cohorts import Cohort, Cohorts
from gaitid.gallery.store.commits import Commits
from gaitid.gallery.store.mark import Mark, Seen
from gaitid.gallery.store.mark import check as check_mark
from gaitid.gallery.store.readers import Readers
from gaitid.gallery.store.renewal import Known, Projections, under
from gaitid.gallery.store.rows import Change, Contents, GalleryRow, Sample, quality_of, terms_of
from gaitid.gallery.store.schema import corrupt, open_database, take_lock, typed
from gaitid.gallery.store.sealing import Sealing, sealed
from gaitid.gallery.store.traces import SHORTEST_NAME, name_traces, scan, windows
from gaitid.records import (
    AuditAction,
    AuditEntry,
    Embedding,
    Fusion,
    OperatingPoint,
    Origin,
    SubjectExport,
    Template,
    Terms,
    Verdict,
)

if TYPE_CHECKING:  # cryptography is imported by those who use keys
    from gaitid.gallery.store.keys import DataKey, KeyRing

T = TypeVar("T")

DATABASE, LOCK, IDENTITY = "gaitid.db", "gaitid.lock", "gaitid.identity"
_PAGE = 10_000
"""Entries of the audit trail read at once; changes go on in between."""

_PAGES, _PAUSE_S = 256, 0.001
"""Pages (of 4 KiB) copied while changes wait, and how long the copy then waits for them, seconds."""

_OWNED = " FROM templates t JOIN subjects s ON s.id = t.subject WHERE "
_PEOPLE = "SELECT id, name, enrolled_at, pseudonym FROM subjects WHERE gallery = ?"
_OWNERS = "SELECT t.id, t.subject" + _OWNED + "s.gallery = ? ORDER BY t.id"
_TEMPLATES = (
    "SELECT t.id, s.name, s.enrolled_at, t.vector, s.key_name, s.data_key, s.id, t.generation, s.pseudonym"
    + _OWNED
)
_VECTORS = (  # CROSS: the templates are looked up, not all subjects of the gallery
    "SELECT t.id, t.vector, s.key_name, s.data_key, s.id, t.generation FROM templates t"
    " CROSS JOIN subjects s ON s.id = t.subject"
    " WHERE t.id IN (SELECT value FROM json_each(?)) AND s.gallery = ? ORDER BY t.id"
)
_NAMED = "SELECT gallery, id, name, enrolled_at FROM subjects WHERE "
_TEXTS = tuple(
    f"SELECT 1 FROM {table} WHERE instr({' || char(10) || '.join(columns)}, ?) LIMIT 1"  # noqa: S608
    for table, columns in (
        ("sqlite_master", ("name", "coalesce(sql, '')")),
        ("galleries", ("name", "encoder", "contract", "fusion")),
        ("calibrations", ("contract", "law")),
        ("subjects", ("name", "coalesce(key_name, '')", "legal_basis", "purpose", "reference")),
        ("templates", ("coalesce(quality, '')", "camera")),
        ("audit", ("action", "outcome", "detail")),
        ("projections", ("key_name",)),
        ("cohorts", ("contract", "normalisation", "law", "coalesce(key_name, '')")),
    )
)
"""All texts of the database that may contain a subject's name; words that are kept for ever may not."""
_UNDECIDED = (
    "SELECT 1 FROM galleries g WHERE id = ? AND (target_fmr IS NOT NULL OR target_fpir IS NOT NULL)"
    " AND NOT EXISTS (SELECT 1 FROM calibrations c WHERE c.gallery = g.id AND c.contract = g.contract)"
    " AND NOT EXISTS (SELECT 1 FROM cohorts c WHERE c.gallery = g.id AND c.contract = g.contract)"
)
"""A gallery whose rule names a target rate, and that has no law."""
_DRAWN = (  # by Knuth's multiplicative hash of their keys
    "s.id IN (SELECT id FROM subjects WHERE gallery = ? ORDER BY id * 2654435761 % 4294967296 LIMIT ?)"
)


class Store:
    """The database of a data directory; one process owns it, any number of its threads may use it.

    A change of subjects and the end of a gallery take `then`. It is called with the change's result
    after the commit and before the acknowledgement, one change at a time, in the order of the
    commits: there a projection follows. It must not raise and must not call the store.

    Args:
        directory: Data directory; made when it does not exist.
        keys: Seal the templates; None = they are not sealed.
        mark: File that tells a database that was rolled back; best on another disk. None = no mark.
        audit_within_s: Searches are on record so long after they were answered, seconds; 0 = before.

    Raises:
        KeyMissing: Templates are sealed, and their key is not among `keys`.
        StoreRolledBack: The database is older than its mark.
        AuditBroken: The audit trail is not the one that the mark has seen.
        StoreLocked: Another process, or another store of this process, has it open.
        StoreReadOnly: It cannot be made or written.
        StoreCorrupt: The database is damaged, of a newer gaitid, or of another program.
        StoreError: It cannot be used for another reason, such as a full disk.
    """

    def __init__(
        self,
        directory: str | Path,
        keys: KeyRing | None = None,
        *,
        mark: Path | None = None,
        audit_within_s: float = 1.0,
    ) -> None:
        if sqlite3.sqlite_version_info < (3, 37):
            raise MissingDependency(
                f"SQLite is {sqlite3.sqlite_version}", "3.37 or newer", "use a newer Python build"
            )
        self.directory = Path(directory)
        self._path = self.directory / DATABASE
        self._mark: Mark | None = None
        self._flusher = Flusher(self._flush, audit_within_s) if audit_within_s > 0 else None
        self._lock_file = take_lock(self.directory / LOCK)
        try:
            self._db = open_database(self._path)
            self._readers = Readers(self._path)
            try:
                self._audit = Audit(self._db)
                self._mark = None if mark is None else self._marked(mark)
                self._commits = Commits(self._db, self._path, self._audit, self._mark)
                self._sealing = Sealing(self._db, keys)
                self._projections = Projections(self._db, self._sealing)
                self._cohorts = Cohorts(self._db, self._sealing)
                self._update_keys(always=False)
            except BaseException:
                self._close_files()
                raise
        except BaseException:
            os.close(self._lock_file)
            raise

    def close(self) -> None:
        """Record what waits and release the directory; closing twice is harmless.

        Raises:
            StoreError: Searches could not be recorded; the directory is released.
        """
        if self._flusher is not None:
            self._flusher.close()
        try:
            if not self._commits.closed:
                self._flush()
        finally:
            with self._commits.mutex:
                if self._commits.close():
                    self._close_files()
                    os.close(self._lock_file)

    def _close_files(self) -> None:
        self._readers.close()
        self._db.close()
        if self._mark is not None:
            self._mark.close()

    def _marked(self, path: Path) -> Mark:
        name, secret, marked = self._db.execute("SELECT name, secret, marked FROM state").fetchone()
        check_mark(path, name, secret, marked, self._audit.hash_at)
        (changes,) = self._db.execute("UPDATE state SET marked = changes RETURNING changes").fetchone()
        return Mark(path, name, secret, Seen(changes, self._audit.head))

    @property
    def name(self) -> str:
        """What tells this store from all others, its copies excepted; 32 hexadecimal digits."""
        with self._commits.mutex:
            ((name,),) = self._commits.read("SELECT name FROM state")
        return bytes(name).hex()

    def check_open(self) -> None:
        """Raise `StoreError` after `close`."""
        self._commits.check_open()

    def galleries(self) -> list[GalleryRow]:
        """All galleries, by name."""
        with self._commits.mutex:
            rows = self._commits.read(
                "SELECT id, name, encoder, contract, dimension, fusion, created_at FROM galleries"
                " ORDER BY name"
            )
        return [
            GalleryRow(key, name, encoder, contract, dimension, Fusion(fusion), created_at)
            for key, name, encoder, contract, dimension, fusion, created_at in rows
        ]

    def contents(
        self, gallery: GalleryRow, *, most_subjects: int | None = None, vectors: bool = True
    ) -> Contents:
        """Everything a projection needs; or of at most so many subjects, always the same arbitrary ones.

        Args:
            gallery: Which.
            most_subjects: None = of all.
            vectors: With the vectors; else they are (0, D), and `vectors` gives them.

        Raises:
            GalleryNotFound: The gallery was deleted.
            StoreCorrupt: A vector does not have the gallery's dimension.
        """
        with self._commits.mutex:
            states = self._commits.read(
                "SELECT revision, threshold, review_band, target_fmr, target_fpir, margin, max_matches, law"
                " FROM galleries g LEFT JOIN calibrations c ON c.gallery = g.id AND c.contract = g.contract"
                " WHERE g.id = ?",
                gallery.key,
            )
            if not vectors:  # one name for all templates of a subject: half the memory
                people = {row[0]: row[1:] for row in self._commits.read(_PEOPLE, gallery.key)}
                rows = [(key, *people[subject]) for key, subject in self._commits.read(_OWNERS, gallery.key)]
            elif most_subjects is None:
                rows = self._commits.read(_TEMPLATES + "s.gallery = ? ORDER BY t.id", gallery.key)
            else:
                rows = self._commits.read(_TEMPLATES + _DRAWN + " ORDER BY t.id", gallery.key, most_subjects)
            terms = self._commits.read(
                "SELECT name, legal_basis, purpose, reference, expires_at, legal_hold FROM subjects"
                " WHERE gallery = ? AND (legal_basis <> '' OR purpose <> '' OR reference <> ''"
                " OR expires_at IS NOT NULL OR legal_hold)",
                gallery.key,
            )
            known = self._projections.of(gallery)
            cohort = self._cohorts.of(gallery, known)
        if not states:
            raise gallery_not_found(gallery.name)
        stored = self._unsealed(gallery, [row[3:7] for row in rows if vectors])
        newest = max(known, default=0)
        placed = under(stored, [row[7] for row in rows if vectors], known, newest)
        revision, *operating_point, text = states[0]
        calibration = None if text is None else ScoreCalibration.loads(text)
        return Contents(
            np.array([row[0] for row in rows], np.int64),
            [row[1] for row in rows],
            [row[2] for row in rows],
            [row[-1] for row in rows],
            placed,
            {row[0]: terms_of(row[1:]) for row in terms},
            revision,
            Policy(OperatingPoint(*operating_point), calibration if cohort is None else cohort.calibration),
            Space(
                gallery.dimension, newest, known.get(newest), None if cohort is None else cohort.normaliser
            ),
            None if cohort is None else cohort.info,
        )

    def vectors(
        self, gallery: GalleryRow, ids: NDArray[np.int64], space: Space | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of the templates `ids` (M,) that there are, ascending, and their vectors (M', D) float32.

        It is as of the last commit, and waits for none. They are placed in `space` (None = as they were
        enrolled), whatever renewals have begun or ended since that was the gallery's.

        Raises:
            StoreCorrupt: A vector does not have the gallery's dimension.
        """
        self.check_open()
        wanted, known = json.dumps(ids.tolist()), dict[int, Projection]()
        space = space or Space(gallery.dimension)
        try:
            with self._readers.one() as db:
                rows = db.execute(_VECTORS, (wanted, gallery.key)).fetchall()
                if any(row[5] != space.generation for row in rows):
                    with _snapshot(db):
                        rows = db.execute(_VECTORS, (wanted, gallery.key)).fetchall()
                        known = dict(self._projections.of(gallery, db))
        except sqlite3.Error as error:
            raise typed(error, self._path) from error
        if space.projection is not None:
            known[space.generation] = space.projection
        found = np.array([row[0] for row in rows], np.int64)
        stored = self._unsealed(gallery, [row[1:5] for row in rows])
        return found, under(stored, [row[5] for row in rows], known, space.generation)

    def settle(self) -> None:
        """Wait until the changes that are committed now have been followed by their projections."""
        with self._commits.mutex:
            return

    def _unsealed(self, gallery: GalleryRow, rows: list[Any]) -> NDArray[np.float32]:
        """Vectors (M, D) of rows of vector, key name, data key and subject."""
        plain = self._sealing.unsealed(gallery.key, gallery.contract, rows)
        if any(len(vector) != 4 * gallery.dimension for vector in plain):
            raise corrupt(self._path, f"a vector of gallery {gallery.name} has a wrong length")
        vectors = np.frombuffer(b"".join(plain), "<f4").astype(np.float32, copy=False)
        return vectors.reshape(-1, gallery.dimension)

    def create_gallery(
        self,
        name: str,
        encoder: str,
        contract: str,
        dimension: int,
        operating_point: OperatingPoint,
        *,
        fusion: Fusion = Fusion.MAX,
        calibration: ScoreCalibration | None = None,
    ) -> GalleryRow:
        """Make an empty gallery of revision 0, calibrated or not.

        Raises:
            GalleryExists: The name is taken.
            InputError: It contains the id of a subject.
        """

        def change() -> GalleryRow:
            if self._db.execute("SELECT 1 FROM galleries WHERE name = ?", (name,)).fetchone():
                raise GalleryExists(f"gallery {name!r} exists", "a new name", "delete it or choose another")
            self._audit.admit_words(name, "gallery")
            now = time.time()
            key = self._insert(
                "INSERT INTO galleries (name, encoder, contract, dimension, fusion, threshold, review_band,"
                " target_fmr, target_fpir, margin, max_matches, revision, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
                (name, encoder, contract, dimension, fusion.value, *astuple(operating_point), now),
            )
            detail = f"{encoder}, {described(operating_point)}"
            self._audit.append(Note(AuditAction.CREATE_GALLERY, name, detail=detail))
            made = GalleryRow(key, name, encoder, contract, dimension, fusion, now)
            if calibration is not None:
                self._keep_calibration(made, calibration)
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
            revision = self._grow(gallery)
            self._db.execute(
                "UPDATE galleries SET threshold = ?, review_band = ?, target_fmr = ?, target_fpir = ?,"
                " margin = ?, max_matches = ? WHERE id = ?",
                (*astuple(operating_point), gallery.key),
            )
            self._check_operating_point(gallery)
            self._note(AuditAction.SET_OPERATING_POINT, gallery, revision, detail=described(operating_point))
            return Change(np.empty(0, np.int64), revision, time.time())

        return self._commits.run(change, then)

    def set_calibration(
        self, gallery: GalleryRow, calibration: ScoreCalibration, then: Callable[[Change], None]
    ) -> Change:
        """Set the calibration, of plain or of normalised scores.

        Raises:
            GalleryNotFound: The gallery was deleted.
            NotCalibrated: The law is of normalised scores, and the gallery does not normalise.
        """

        def change() -> Change:
            revision = self._grow(gallery)
            self._keep_calibration(gallery, calibration)
            info = calibration.info
            self._note(
                AuditAction.CALIBRATE, gallery, revision, count=info.comparisons, detail=info.source.value
            )
            return Change(np.empty(0, np.int64), revision, time.time())

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
            revision = self._grow(gallery)
            if max(self._projections.of(gallery), default=0) != generation:
                raise NotCalibrated("templates that were renewed meanwhile", "quiet ones", "call it again")
            self._cohorts.keep(gallery, cohort, generation)
            info = cohort.info
            found = f"fpir {info.fpir:g}, found {info.before:.4f} before, {info.after:.4f} after"
            self._note(AuditAction.NORMALISE, gallery, revision, count=info.cohort, detail=found)
            return Change(np.empty(0, np.int64), revision, time.time())

        return self._commits.run(change, then, erases=True)

    def forget_cohort(self, gallery: GalleryRow, then: Callable[[Change], None]) -> Change:
        """Erase the cohort: scores are plain again.

        Raises:
            GalleryNotFound: The gallery was deleted.
            NotCalibrated: The rule names a target rate, and nothing would tell what plain scores mean.
        """

        def change() -> Change:
            revision = self._grow(gallery)
            self._cohorts.forget(gallery)
            self._check_operating_point(gallery)
            self._note(AuditAction.STOP_NORMALISING, gallery, revision)
            return Change(np.empty(0, np.int64), revision, time.time())

        return self._commits.run(change, then, erases=True)

    def delete_gallery(self, gallery: GalleryRow, then: Callable[[None], None]) -> None:
        """Erase a gallery with all its subjects.

        Raises:
            GalleryNotFound: It was deleted before.
            SubjectHeld: A legal hold forbids it.
        """

        def change() -> None:
            held = self._db.execute(
                "SELECT name FROM subjects WHERE gallery = ? AND legal_hold LIMIT 1", (gallery.key,)
            ).fetchone()
            if held:
                raise subject_held(held[0])
            count = self._db.execute(
                "SELECT count(*) FROM subjects WHERE gallery = ?", (gallery.key,)
            ).fetchone()[0]
            revision = self._grow(gallery)
            self._db.execute("DELETE FROM galleries WHERE id = ?", (gallery.key,))
            self._note(AuditAction.DELETE_GALLERY, gallery, revision, count=count)

        self._commits.run(change, then, erases=True)

    def add_subject(
        self, gallery: GalleryRow, name: str, samples: Sequence[Sample], then: Callable[[Change], None]
    ) -> Change:
        """Add a new subject with its templates, all or nothing.

        Raises:
            GalleryNotFound: The gallery was deleted.
            SubjectExists: The gallery has that subject.
            InputError: The audit trail holds words that contain the name, which could never be erased.
        """

        def change() -> Change:
            revision = self._grow(gallery)
            now = time.time()
            ids, pseudonym = self._insert_subject(gallery, name, samples, now, revision)
            return Change(ids, revision, now, (pseudonym,))

        return self._commits.run(change, then)

    def add_templates(
        self, gallery: GalleryRow, name: str, samples: Sequence[Sample], then: Callable[[Change], None]
    ) -> Change:
        """Add templates to a subject, all or nothing.

        Raises:
            GalleryNotFound: The gallery was deleted.
            SubjectNotFound: The gallery has no such subject.
        """

        def change() -> Change:
            revision = self._grow(gallery)
            now = time.time()
            subject = self._subject(gallery, name)
            if subject is None:
                raise subject_not_found(gallery.name, name)
            key = self._sealing.key(gallery.key, gallery.contract, subject)
            ids = self._insert_templates(gallery, subject, key, samples, now)
            pseudonym = self._pseudonym(subject)
            self._note(AuditAction.ADD_SAMPLES, gallery, revision, pseudonym, len(ids))
            return Change(ids, revision, now, (pseudonym,))

        return self._commits.run(change, then)

    def add_subjects(
        self,
        gallery: GalleryRow,
        people: Mapping[str, Sequence[Sample]],
        then: Callable[[Change], None],
    ) -> Change:
        """Add many new subjects in one change, all or nothing; ids in the order of the samples.

        Raises:
            GalleryNotFound: The gallery was deleted.
            SubjectExists: The gallery has one of them.
            InputError: See `add_subject`.
        """

        def change() -> Change:
            revision = self._grow(gallery)
            now = time.time()
            made = [
                self._insert_subject(gallery, name, samples, now, revision)
                for name, samples in people.items()
            ]
            ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in made)])
            return Change(ids, revision, now, tuple(pseudonym for _, pseudonym in made))

        return self._commits.run(change, then)

    def set_terms(
        self, gallery: GalleryRow, name: str, terms: Terms, then: Callable[[Change], None]
    ) -> Change:
        """Set the terms of a subject; the old ones are overwritten.

        Raises:
            GalleryNotFound: The gallery was deleted.
            SubjectNotFound: The gallery has no such subject.
        """

        def change() -> Change:
            revision = self._grow(gallery)
            subject = self._subject(gallery, name)
            if subject is None:
                raise subject_not_found(gallery.name, name)
            self._db.execute(
                "UPDATE subjects SET legal_basis = ?, purpose = ?, reference = ?, expires_at = ?,"
                " legal_hold = ? WHERE id = ?",
                (*astuple(terms), subject),
            )
            expiry = "never expires" if terms.expires_at is None else f"expires at {terms.expires_at:.0f}"
            detail = expiry + ", held" * terms.legal_hold
            self._note(AuditAction.SET_TERMS, gallery, revision, self._pseudonym(subject), detail=detail)
            return Change(np.empty(0, np.int64), revision, time.time())

        return self._commits.run(change, then)

    def delete_subject(
        self,
        gallery: GalleryRow,
        name: str,
        then: Callable[[Change], None],
        action: AuditAction = AuditAction.DELETE_SUBJECT,
    ) -> Change:
        """Erase a subject and its templates; recorded as `action`.

        Raises:
            GalleryNotFound: The gallery was deleted.
            SubjectNotFound: The gallery has no such subject; of an expiry, none whose time is over.
            SubjectHeld: A legal hold forbids it.
            StoreError: It is deleted, but the write-ahead log could not be emptied of it yet.
        """

        def change() -> Change:
            revision = self._grow(gallery)
            subject = self._subject(gallery, name)
            if subject is None or (action is AuditAction.EXPIRE_SUBJECT and not self._is_over(subject)):
                raise subject_not_found(gallery.name, name)
            rows = self._db.execute(
                "SELECT id, vector FROM templates WHERE subject = ?", (subject,)
            ).fetchall()
            key, is_held, enrolled_at, pseudonym = self._db.execute(
                "DELETE FROM subjects WHERE id = ? RETURNING data_key, legal_hold, enrolled_at, pseudonym",
                (subject,),
            ).fetchone()
            if is_held:
                raise subject_held(name)
            self._note(action, gallery, revision, pseudonym, len(rows))
            traces = windows([key or b"", *(row[1] for row in rows)])
            if len(name) >= SHORTEST_NAME:
                traces += (name.encode(),)
            traces += name_traces(gallery.key, subject, name, enrolled_at)
            ids = np.array([row[0] for row in rows], np.int64)
            return Change(ids, revision, time.time(), (pseudonym,), traces)

        return self._commits.run(change, then, erases=True)

    def export(self, gallery: GalleryRow, name: str) -> SubjectExport:
        """All that is held of a subject.

        Raises:
            SubjectNotFound: The gallery has no such subject.
        """

        def read() -> tuple[list[Any], Known]:
            rows = self._db.execute(
                "SELECT t.vector, s.key_name, s.data_key, s.id, t.id, t.quality, t.enrolled_at, t.camera,"
                " t.track, s.enrolled_at, s.legal_basis, s.purpose, s.reference, s.expires_at, s.legal_hold,"
                " (SELECT revision FROM galleries WHERE id = s.gallery), t.generation"
                " FROM templates t JOIN subjects s ON s.id = t.subject"
                " WHERE s.gallery = ? AND s.name = ? ORDER BY t.id",
                (gallery.key, name),
            ).fetchall()
            if not rows:
                raise subject_not_found(gallery.name, name)
            pseudonym = self._pseudonym(rows[0][3])
            self._note(AuditAction.EXPORT_SUBJECT, gallery, rows[0][15], pseudonym, len(rows))
            return rows, self._projections.of(gallery)

        rows, known = self._commits.run(read)
        stored = self._unsealed(gallery, [row[:4] for row in rows])
        vectors = under(stored, [row[16] for row in rows], known, 0)
        return SubjectExport(
            gallery.name,
            name,
            rows[0][9],
            tuple(
                Template(
                    str(row[4]),
                    name,
                    Embedding(vector, gallery.contract),
                    None if row[5] is None else quality_of(row[5]),
                    row[6],
                    Origin(*row[7:9]),
                )
                for vector, row in zip(vectors, rows, strict=True)
            ),
            terms_of(rows[0][10:15]),
        )

    def copy(self, path: Path) -> None:
        """Copy the database into a new file; it becomes what the database is when the copy is done.

        Changes go on meanwhile, and erasures reach what is copied already.

        Raises:
            StoreError: The copy cannot be written, or the store was closed meanwhile.
        """

        def pause(*_: int) -> None:
            failpoints.reached("within backup copy")
            self._commits.mutex.release()
            time.sleep(_PAUSE_S)
            self._commits.mutex.acquire()
            self.check_open()

        try:
            target = sqlite3.connect(path)
            try:
                with self._commits.mutex:
                    self.check_open()
                    self._db.backup(target, pages=_PAGES, progress=pause)
                target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log
            finally:
                target.close()
        except sqlite3.Error as error:
            raise typed(error, path) from error

    def scan(self, traces: tuple[bytes, ...]) -> int:
        """Look for traces of what was erased in all files; gives the bytes read.

        The same vector in a template of another subject is none, nor is the same subject enrolled again,
        nor a name within another text that is still there. SQLite overwrites what it frees, but leaves
        copies of rows in pages that it has rearranged (3 erasures of 1,000 found one). Then the whole
        database is written anew, which takes memory for all of it; other changes wait.

        Raises:
            StoreError: There is one still.
        """
        try:
            return scan(self.directory, traces, self._is_alive)
        except StoreError:
            self._write_anew()
            return scan(self.directory, traces, self._is_alive)

    def _write_anew(self) -> None:
        with self._commits.mutex:
            self._commits.read("VACUUM")
        self.empty_log()

    def empty_log(self) -> None:
        """Empty the write-ahead log, as every erasure does.

        Raises:
            StoreError: It could not be emptied.
        """
        self._commits.run(lambda: None, erases=True)

    def _is_alive(self, trace: bytes) -> bool:
        with self._commits.mutex:
            named = self._commits.read(_NAMED + "instr(?, CAST(name AS BLOB))", trace)
            if any(trace in name_traces(*row) for row in named):
                return True
            if self._commits.read("SELECT 1 FROM templates WHERE instr(vector, ?) LIMIT 1", trace):
                return True
            text = trace.decode("latin-1")
            return any(self._commits.read(statement, text) for statement in _TEXTS)

    # -- sealing -----------------------------------------------------------------------------------

    def rotate_keys(self) -> int:
        """Read the keys again and wrap all data keys by the one in use; gives how many there were to do.

        Searches and other changes go on meanwhile. Cut short, it is finished by the next call or
        opening.

        Raises:
            KeyMissing: The store was opened without keys, or an older key is gone.
            ConfigError: The keys cannot be read.
            InputError: See `introduce`.
        """

        def begin() -> None:
            self._audit.introduce()
            self._sealing.reload()

        self._commits.run(begin)
        return self._update_keys(always=True)

    def _update_keys(self, *, always: bool) -> int:
        def introduced(update: Callable[[], T]) -> T:
            done = update()
            if done:  # at an opening, too
                self._audit.introduce()
            return done

        count = last = 0
        while done := self._commits.run(partial(introduced, partial(self._sealing.update_some, last))):
            count, last = count + len(done), done[-1]
            failpoints.reached("between rotation commits")
        rest = self._commits.run(partial(introduced, self._sealing.update_rest))
        if count or rest or always:
            # Log and free pages still hold what was plain, and what older keys wrapped.
            note = Note(AuditAction.ROTATE_KEYS, count=count)
            self._commits.run(partial(self._audit.append, note), erases=bool(count or rest))
        return count

    def renew_templates(self, gallery: GalleryRow, then: Callable[[Change], None]) -> int:
        """Bring all templates of a gallery under a new projection; gives how many there were to do.

        Searches and other changes go on meanwhile, and who has loaded the gallery may go on with what it
        has. Cut short, it is finished, and no other begun, by the next call.

        Raises:
            GalleryNotFound: The gallery was deleted.
            KeyMissing: The store was opened without keys.
            InputError: See `introduce`.
        """

        def begin() -> None:
            if not self._db.execute("SELECT 1 FROM galleries WHERE id = ?", (gallery.key,)).fetchone():
                raise gallery_not_found(gallery.name)
            self._audit.introduce()
            self._projections.begin(gallery)

        def finish(count: int) -> Change:
            revision = self._grow(gallery)
            known = self._projections.of(gallery)
            cohort = self._cohorts.of(gallery, known)
            if cohort is not None:
                self._cohorts.keep(gallery, cohort, max(known, default=0))
            self._projections.finish(gallery)
            self._note(AuditAction.RENEW_TEMPLATES, gallery, revision, count=count)
            return Change(np.empty(0, np.int64), revision, time.time())

        self._commits.run(begin)
        count = last = 0
        while done := self._commits.run(partial(self._projections.renew_some, gallery, last)):
            count, last = count + len(done), done[-1]
            failpoints.reached("between renewal commits")
        self._commits.run(partial(finish, count), then, erases=True)
        return count

    # -- audit trail -------------------------------------------------------------------------------

    def introduce(self) -> None:
        """Put the caller on record before an act that is recorded when it is done.

        Raises:
            InputError: Actor or purpose contain the id of a subject; nothing may be done then.
        """
        self._commits.run(self._audit.introduce)

    def append(self, note: Note) -> None:
        """Put on record, before this returns, what is no change of the database.

        Raises:
            InputError: See `introduce`.
        """
        self._commits.run(partial(self._audit.append, note))

    def record(self, note: Note) -> None:
        """Put a search on record, within the time that the store was opened for.

        Raises:
            InputError: Actor or purpose contain the id of a subject.
            StoreError: The store is closed, or earlier searches cannot be recorded.
        """
        self.check_open()
        if self._flusher is None:
            self.append(note)
            return
        caller = current()
        if not self._audit.knows(caller):
            with self._commits.mutex:
                self._audit.admit(caller)
        if self._audit.queue(note, caller) >= MOST_WAITING:
            self._flush()
        else:
            self._flusher.wake()

    def review(self, gallery: GalleryRow, reference: str, verdict: Verdict) -> int:
        """Put a verdict about a search on record; gives the number of its entry.

        Raises:
            DecisionNotFound: The gallery's trail has no such search.
        """

        def change() -> int:
            search = self._audit.search(gallery.name, reference)
            if search is None:
                raise DecisionNotFound(
                    f"no decision {reference!r} in gallery {gallery.name!r}", "its audit_id", "check it"
                )
            subject, revision = bytes.fromhex(search.subject), search.revision
            self._note(
                AuditAction.REVIEW, gallery, revision, subject, outcome=verdict.value, reference=reference
            )
            return self._audit.head.number

        return self._commits.run(change)

    def audit_entries(
        self, after: int, count: int, gallery: str = "", pseudonym: bytes = b""
    ) -> list[AuditEntry]:
        """Up to `count` entries of the trail after a number; of one gallery or pseudonym, if given."""
        self.check_open()
        self._flush()
        with self._commits.mutex:
            return self._audit.page(after, count, gallery, pseudonym)

    def verify_audit(self) -> Head:
        """Follow the whole trail; gives its end.

        Raises:
            AuditBroken: It is not what was recorded.
        """
        self._flush()
        with self._commits.mutex:
            end = self._audit.head
        found = check_chain(self._entries(end.number))
        if found != end:
            raise broken(f"the trail ends with entry {found.number}, not {end.number}")
        return end

    def _entries(self, last: int) -> Iterator[AuditEntry]:
        for after in range(0, last, _PAGE):
            with self._commits.mutex:
                self.check_open()
                page = self._audit.page(after, min(_PAGE, last - after))
            yield from page

    def _flush(self) -> None:
        if self._audit.waiting():
            self._commits.run(lambda: None)

    def _note(
        self,
        action: AuditAction,
        gallery: GalleryRow,
        revision: int,
        subject: bytes = b"",
        count: int = 0,
        **more: str,
    ) -> None:
        self._audit.append(Note(action, gallery.name, subject, revision=revision, count=count, **more))

    def _pseudonym(self, subject: int) -> bytes:
        row = self._db.execute("SELECT pseudonym FROM subjects WHERE id = ?", (subject,)).fetchone()
        return bytes(row[0])

    # -- within a change ---------------------------------------------------------------------------

    def _grow(self, gallery: GalleryRow) -> int:
        row = self._db.execute(
            "UPDATE galleries SET revision = revision + 1 WHERE id = ? RETURNING revision", (gallery.key,)
        ).fetchone()
        if row is None:
            raise gallery_not_found(gallery.name)
        return int(row[0])

    def _subject(self, gallery: GalleryRow, name: str) -> int | None:
        row = self._db.execute(
            "SELECT id FROM subjects WHERE gallery = ? AND name = ?", (gallery.key, name)
        ).fetchone()
        return None if row is None else int(row[0])

    def _is_over(self, subject: int) -> bool:
        """True when its time is over: other terms may have been agreed, or the name given to another."""
        row = self._db.execute("SELECT expires_at FROM subjects WHERE id = ?", (subject,)).fetchone()
        return row[0] is not None and row[0] <= time.time()

    def _check_operating_point(self, gallery: GalleryRow) -> None:
        """Return if the gallery can decide: a rule by target rate needs a law."""
        found = self._db.execute(_UNDECIDED, (gallery.key,)).fetchone()
        if found:
            raise NotCalibrated(
                "a rule by target rate, and no calibration of plain scores",
                "a threshold, or a calibrated gallery",
                "set a threshold first, and the rate when it is calibrated",
            )

    def _keep_calibration(self, gallery: GalleryRow, calibration: ScoreCalibration) -> None:
        if calibration.info.normalised:
            self._cohorts.set_calibration(gallery, calibration)
            return
        self._db.execute(
            "INSERT OR REPLACE INTO calibrations (gallery, contract, law) VALUES (?, ?, ?)",
            (gallery.key, gallery.contract, calibration.dumps()),
        )

    def _insert_subject(
        self, gallery: GalleryRow, name: str, samples: Sequence[Sample], now: float, revision: int
    ) -> tuple[NDArray[np.int64], bytes]:
        """Ids of its templates, and its pseudonym."""
        if self._subject(gallery, name) is not None:
            raise subject_exists(gallery.name, name)
        self._audit.admit_subject(name)
        pseudonym = secrets.token_bytes(16)
        subject = self._insert(
            "INSERT INTO subjects (gallery, name, enrolled_at, pseudonym) VALUES (?, ?, ?, ?)",
            (gallery.key, name, now, pseudonym),
        )
        key = self._sealing.new_key(gallery.key, gallery.contract, subject)
        ids = self._insert_templates(gallery, subject, key, samples, now)
        self._note(AuditAction.ENROL, gallery, revision, pseudonym, len(ids))
        return ids, pseudonym

    def _insert_templates(
        self, gallery: GalleryRow, subject: int, key: DataKey | None, samples: Sequence[Sample], now: float
    ) -> NDArray[np.int64]:
        known = self._projections.of(gallery)
        newest = max(known, default=0)
        plain = np.stack([sample.vector for sample in samples])
        placed = under(plain, [0] * len(plain), known, newest).astype("<f4", copy=False)
        keys = [
            self._insert(
                "INSERT INTO templates (subject, vector, quality, camera, track, enrolled_at, generation)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    subject,
                    sealed(vector.tobytes(), key),
                    None if sample.quality is None else json.dumps(asdict(sample.quality)),
                    sample.origin.camera,
                    sample.origin.track,
                    now,
                    newest,
                ),
            )
            for sample, vector in zip(samples, placed, strict=True)
        ]
        return np.array(keys, np.int64)

    def _insert(self, statement: str, values: tuple[Any, ...]) -> int:
        key = self._db.execute(statement, values).lastrowid
        return int(key or 0)


@contextmanager
def _snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """All that is read within it is of one commit."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


def gallery_not_found(name: str) -> GalleryNotFound:
    """The error for a gallery that does not exist."""
    return GalleryNotFound(f"no gallery {name!r}", "an existing one", "create it, or list the galleries")


def subject_not_found(gallery: str, name: str) -> SubjectNotFound:
    """The error for a subject that is not enrolled."""
    return SubjectNotFound(f"no subject {name!r} in gallery {gallery!r}", "an enrolled one", "enrol it first")


def subject_held(name: str) -> SubjectHeld:
    """The error for the deletion of a subject under a legal hold."""
    return SubjectHeld(
        f"subject {name!r} is under a legal hold", "one that may go", "lift the hold with set_terms first"
    )


def subject_exists(gallery: str, name: str) -> SubjectExists:
    """The error for a subject that is enrolled already."""
    return SubjectExists(
        f"subject {name!r} is in gallery {gallery!r}", "a new subject", "use add_samples, or delete it first"
    )
