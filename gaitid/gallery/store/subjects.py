"""The subjects of a store: enrolment, terms, export, deletion and expiry.

A subject has expired from the second of `Terms.expires_at` on, unless it is under a legal hold. From then on
no method finds it except `Subjects.delete`, which erases it.

Every method that changes a gallery takes `then`; see `gaitid.gallery.store.galleries`.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.caller import calling
from gaitid.gallery.store import query
from gaitid.gallery.store.connection import Connection
from gaitid.gallery.store.refusals import subject_exists, subject_held, subject_not_found
from gaitid.gallery.store.renewal import Known, under
from gaitid.gallery.store.rows import Change, EnrolmentSample, GalleryRow, no_templates, quality_of, terms_of
from gaitid.gallery.store.sealing import sealed
from gaitid.gallery.store.traces import SHORTEST_NAME, name_traces, windows
from gaitid.records import MAX_CAMERA, AuditAction, Embedding, Origin, SubjectExport, Template, Terms

if TYPE_CHECKING:  # cryptography is imported only by those who use keys
    from gaitid.gallery.store.keys import DataKey

_TEMPLATES = (
    "SELECT t.id AS id, t.vector AS vector, s.key_name AS key_name, s.data_key AS data_key, s.id AS subject,"
    " t.quality AS quality, t.enrolled_at AS enrolled_at, t.camera AS camera, t.track AS track,"
    " t.generation AS generation FROM templates t JOIN subjects s ON s.id = t.subject"
    " WHERE s.id = ? ORDER BY t.id"
)


class _SubjectRow(NamedTuple):
    id: int
    enrolled_at: float
    pseudonym: bytes
    data_key: bytes | None
    legal_basis: str
    purpose: str
    reference: str
    expires_at: float | None
    legal_hold: int

    def has_expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now and not self.legal_hold


class _TemplateRow(NamedTuple):
    id: int
    vector: bytes
    key_name: str | None
    data_key: bytes | None
    subject: int
    quality: str | None
    enrolled_at: float
    camera: str
    track: int
    generation: int


class _VectorRow(NamedTuple):
    id: int
    vector: bytes


class _Erased(NamedTuple):
    """What an erased subject had: its templates, and its shares of camera profiles as they were stored."""

    templates: list[_VectorRow]
    shares: list[bytes]


class _Added(NamedTuple):
    """What the insertion of one subject gave."""

    ids: NDArray[np.int64]
    pseudonym: bytes
    has_replaced: bool


class Subjects:
    """The subjects of a database.

    Args:
        connection: The open database.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._commits, self._db = connection.commits, connection.db

    def add(
        self,
        gallery: GalleryRow,
        name: str,
        samples: Sequence[EnrolmentSample],
        then: Callable[[Change], None],
    ) -> Change:
        """Add a new subject with its templates, all or nothing; see `add_many`."""
        return self.add_many(gallery, {name: samples}, then)

    def add_many(
        self,
        gallery: GalleryRow,
        subjects: Mapping[str, Sequence[EnrolmentSample]],
        then: Callable[[Change], None],
    ) -> Change:
        """Add new subjects in one change, all or nothing; ids are in the order of the samples.

        An expired subject that still has one of the names is erased first, which is recorded as its expiry.

        Raises:
            GalleryNotFound: The gallery was deleted.
            SubjectExists: The gallery has one of the subjects.
            InputError: The audit trail holds words that contain a name, which could then never be erased.
        """

        def change() -> Change:
            revision = self._connection.grow(gallery)
            now = time.time()
            added = {
                name: self._insert_subject(gallery, name, samples, now, revision)
                for name, samples in subjects.items()
            }
            return Change(
                np.concatenate([no_templates(), *(one.ids for one in added.values())]),
                revision,
                now,
                tuple(one.pseudonym for one in added.values()),
                expired=tuple(name for name, one in added.items() if one.has_replaced),
            )

        return self._commits.run(change, then)

    def add_templates(
        self,
        gallery: GalleryRow,
        name: str,
        samples: Sequence[EnrolmentSample],
        then: Callable[[Change], None],
    ) -> Change:
        """Add templates to a subject, all or nothing.

        Raises:
            GalleryNotFound: The gallery was deleted.
            SubjectNotFound: The gallery has no such subject.
        """

        def change() -> Change:
            revision = self._connection.grow(gallery)
            now = time.time()
            subject = self._require(gallery, name, now)
            key = self._connection.sealing.key(gallery.key, gallery.contract, subject.id)
            ids = self._insert_templates(gallery, subject.id, key, samples, now)
            self._connection.note(AuditAction.ADD_SAMPLES, gallery, revision, subject.pseudonym, len(ids))
            return Change(ids, revision, now, (subject.pseudonym,))

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
            revision = self._connection.grow(gallery)
            now = time.time()
            subject = self._require(gallery, name, now)
            self._db.execute(
                "UPDATE subjects SET legal_basis = ?, purpose = ?, reference = ?, expires_at = ?,"
                " legal_hold = ? WHERE id = ?",
                (*astuple(terms), subject.id),
            )
            expiry = "never expires" if terms.expires_at is None else f"expires at {terms.expires_at:.0f}"
            detail = expiry + ", held" * terms.legal_hold
            self._connection.note(AuditAction.SET_TERMS, gallery, revision, subject.pseudonym, detail=detail)
            return Change(no_templates(), revision, now)

        return self._commits.run(change, then)

    def delete(
        self,
        gallery: GalleryRow,
        name: str,
        then: Callable[[Change], None],
        action: AuditAction = AuditAction.DELETE_SUBJECT,
    ) -> Change:
        """Erase a subject and its templates; recorded as `action`.

        Raises:
            GalleryNotFound: The gallery was deleted.
            SubjectNotFound: The gallery has no such subject; with `EXPIRE_SUBJECT`, no expired
                one, or the clock cannot be trusted.
            SubjectHeld: The subject is under a legal hold.
            StoreError: It is deleted, but the write-ahead log could not be emptied of it yet.
        """

        def change() -> Change:
            revision = self._connection.grow(gallery)
            now = time.time()
            subject = self._find(gallery, name)
            if subject is None or (action is AuditAction.EXPIRE_SUBJECT and not self._is_over(subject, now)):
                raise subject_not_found(gallery.name, name)
            if subject.legal_hold:
                raise subject_held(name)
            erased = self._erase(gallery, subject, revision, action)
            traces = _traces(gallery, name, subject, erased)
            ids = np.array([row.id for row in erased.templates], np.int64)
            return Change(ids, revision, now, (subject.pseudonym,), traces)

        return self._commits.run(change, then)

    def export(self, gallery: GalleryRow, name: str) -> SubjectExport:
        """Export everything the gallery stores about a subject; recorded in the audit trail.

        Raises:
            SubjectNotFound: The gallery has no such subject.
        """
        connection = self._connection

        def read() -> tuple[_SubjectRow, list[_TemplateRow], Known]:
            subject = self._require(gallery, name, time.time())
            rows = query.fetch(self._db, _TemplateRow, _TEMPLATES, subject.id)
            revision = query.value(self._db, "SELECT revision FROM galleries WHERE id = ?", gallery.key)
            connection.note(AuditAction.EXPORT_SUBJECT, gallery, revision, subject.pseudonym, len(rows))
            known = connection.projections.of(gallery)
            return subject, rows, known

        subject, rows, known = self._commits.run(read)
        stored = connection.unsealed(gallery, rows)
        vectors = under(stored, [row.generation for row in rows], known, 0)
        templates = (_template(gallery, name, row, vector) for row, vector in zip(rows, vectors, strict=True))
        return SubjectExport(gallery.name, name, subject.enrolled_at, tuple(templates), terms_of(subject))

    # -- within a change ---------------------------------------------------------------------------

    def _find(self, gallery: GalleryRow, name: str) -> _SubjectRow | None:
        statement = (
            "SELECT id, enrolled_at, pseudonym, data_key, legal_basis, purpose, reference, expires_at,"
            " legal_hold FROM subjects WHERE gallery = ? AND name = ?"
        )
        return query.first(self._db, _SubjectRow, statement, gallery.key, name)

    def _require(self, gallery: GalleryRow, name: str, now: float) -> _SubjectRow:
        subject = self._find(gallery, name)
        if subject is None or subject.has_expired(now):
            raise subject_not_found(gallery.name, name)
        return subject

    def _is_over(self, subject: _SubjectRow, now: float) -> bool:
        """Whether the retention of a subject has ended for certain."""
        return subject.has_expired(now) and self._connection.clock.is_trusted(now)

    def _erase(
        self, gallery: GalleryRow, subject: _SubjectRow, revision: int, action: AuditAction
    ) -> _Erased:
        """Delete a subject; return what it had."""
        statement = "SELECT id, vector FROM templates WHERE subject = ?"
        rows = query.fetch(self._db, _VectorRow, statement, subject.id)
        shares = query.column(self._db, "SELECT vector FROM shares WHERE subject = ?", subject.id)
        self._connection.profiles.mark_stale(subject.id)
        self._db.execute("DELETE FROM subjects WHERE id = ?", (subject.id,))
        self._connection.note(action, gallery, revision, subject.pseudonym, len(rows))
        self._commits.require_empty_log()
        return _Erased(rows, shares)

    def _make_way(self, gallery: GalleryRow, name: str, now: float, revision: int) -> bool:
        """Erase an expired subject of that name; return whether there was one.

        Raises:
            SubjectExists: A subject that has not expired has the name, or the clock cannot be trusted.
        """
        holder = self._find(gallery, name)
        if holder is None:
            return False
        if not self._is_over(holder, now):
            raise subject_exists(gallery.name, name)
        with calling(actor="gaitid"):
            self._erase(gallery, holder, revision, AuditAction.EXPIRE_SUBJECT)
        return True

    def _insert_subject(
        self,
        gallery: GalleryRow,
        name: str,
        samples: Sequence[EnrolmentSample],
        now: float,
        revision: int,
    ) -> _Added:
        has_replaced = self._make_way(gallery, name, now, revision)
        self._connection.audit.admit_subject(name)
        pseudonym = secrets.token_bytes(16)
        subject = self._connection.insert(
            "INSERT INTO subjects (gallery, name, enrolled_at, pseudonym) VALUES (?, ?, ?, ?)",
            *(gallery.key, name, now, pseudonym),
        )
        key = self._connection.sealing.new_key(gallery.key, gallery.contract, subject)
        ids = self._insert_templates(gallery, subject, key, samples, now)
        self._connection.note(AuditAction.ENROL, gallery, revision, pseudonym, len(ids))
        return _Added(ids, pseudonym, has_replaced)

    def _insert_templates(
        self,
        gallery: GalleryRow,
        subject: int,
        key: DataKey | None,
        samples: Sequence[EnrolmentSample],
        now: float,
    ) -> NDArray[np.int64]:
        known = self._connection.projections.of(gallery)
        newest = max(known, default=0)
        plain = np.stack([sample.vector for sample in samples])
        placed = under(plain, [0] * len(plain), known, newest).astype("<f4", copy=False)
        ids = [
            self._connection.insert(
                "INSERT INTO templates (subject, vector, quality, camera, track, direction, enrolled_at,"
                " generation) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                subject,
                sealed(vector.tobytes(), key),
                None if sample.quality is None else json.dumps(asdict(sample.quality)),
                sample.origin.camera,
                sample.origin.track,
                sample.direction,
                now,
                newest,
            )
            for sample, vector in zip(samples, placed, strict=True)
        ]
        return np.array(ids, np.int64)


def _traces(gallery: GalleryRow, name: str, subject: _SubjectRow, erased: _Erased) -> tuple[bytes, ...]:
    """Return pieces of the bytes of an erased subject that no file may hold any more."""
    vectors = [*(row.vector for row in erased.templates), *erased.shares]
    traces = windows([subject.data_key or b"", *vectors])
    if len(name) >= SHORTEST_NAME:
        traces += (name.encode(),)
    return traces + name_traces(gallery.key, subject.id, name, subject.enrolled_at)


def _template(gallery: GalleryRow, name: str, row: _TemplateRow, vector: NDArray[np.float32]) -> Template:
    return Template(
        str(row.id),
        name,
        Embedding(vector, gallery.contract),
        None if row.quality is None else quality_of(row.quality),
        row.enrolled_at,
        Origin(_printable(row.camera), row.track),
    )


def _printable(camera: str) -> str:
    """A stored name of a camera; versions before 0.2 stored any text."""
    return "".join(c if c.isprintable() else "?" for c in camera[:MAX_CAMERA])
