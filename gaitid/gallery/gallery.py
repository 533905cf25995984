"""A gallery: what the store holds of it, ready to be searched."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial, wraps
from threading import Lock
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from gaitid.caller import calling
from gaitid.errors import EngineError, SubjectHeld, SubjectNotFound
from gaitid.gallery.index.protocol import Fetch, Index, VectorsGone
from gaitid.gallery.index.ranking import best
from gaitid.gallery.index.reconciliation import fetch_from, reconcile
from gaitid.gallery.lock import ReadersWriterLock
from gaitid.gallery.scoring.calibration import MOST_SUBJECTS, ScoreCalibration, learn
from gaitid.gallery.scoring.cohort_check import check_cohort
from gaitid.gallery.scoring.fusion import Pool
from gaitid.gallery.scoring.normalisation import Normaliser
from gaitid.gallery.scoring.policy import Policy, depth
from gaitid.gallery.scoring.space import PlacedProbe, Space
from gaitid.gallery.store.database import Store, subject_exists, subject_not_found
from gaitid.gallery.store.rows import Change, GalleryRow, Sample
from gaitid.records import (
    AuditAction,
    Calibration,
    Candidate,
    EnrolmentWarning,
    Fusion,
    GalleryInfo,
    Normalisation,
    OperatingPoint,
    Origin,
    SubjectExport,
    SubjectInfo,
    Suspicion,
    Terms,
)

_LOG = logging.getLogger(__name__)

_TEMPLATES_A_SUBJECT = 4
"""Templates fetched at first for each wanted subject; more are fetched while subjects are missing."""

_SPARE_SUBJECTS = 8
"""Subjects scored beyond those wanted: an index that keeps 8 bits of a number may order them wrongly."""

_NO_TERMS = Terms()
_NOWHERE = Origin()
_STRANGE = 0.05
"""A sample that strangers surpass this often is not like the subject's others."""


class Found(NamedTuple):
    """What a search saw.

    Attributes:
        candidates: Best first, equal scores by template id; empty when the gallery is.
        revision: The state that was searched.
        operating_point: The operating point to apply, resolved for that state.
        is_empty: The gallery has no template.
        best: Pseudonym of the first candidate; empty when there is none.
    """

    candidates: tuple[Candidate, ...]
    revision: int
    operating_point: OperatingPoint
    is_empty: bool
    best: bytes


@dataclass(slots=True)
class _Subject:
    templates: list[int]
    enrolled_at: float
    pseudonym: bytes
    terms: Terms = _NO_TERMS
    pool: Pool | None = None  # for the fusions that need one row a subject

    @property
    def rows(self) -> list[int]:
        """Ids of its rows in the index."""
        return self.templates if self.pool is None else self.templates[:1]


P = ParamSpec("P")
T = TypeVar("T")


def _repeated(ask: Callable[Concatenate[Gallery, P], T]) -> Callable[Concatenate[Gallery, P], T]:
    """Asks again when a template was erased between the search and the reading of its vector."""

    @wraps(ask)
    def answer(gallery: Gallery, /, *args: P.args, **kwargs: P.kwargs) -> T:
        while True:
            before = gallery._newest
            try:
                return ask(gallery, *args, **kwargs)
            except VectorsGone:
                gallery._catch_up(before)

    return answer


class Gallery:
    """The projection of one stored gallery into memory: an index, and who owns which template.

    A change is committed first and applied then, in the order of the commits. Searches share a
    lock that a change takes alone while it is applied, so every answer belongs to exactly one
    revision. A committed change that cannot be applied (no memory) costs a reload, never data.

    Args:
        store: Where it is kept.
        row: Which of its galleries.
        index: Gives its index, filled or not.
        thorough: Compare all vectors of the index with the store's now, not the ids alone.

    Attributes:
        repair: What was missing and left over in the index when it was loaded last.

    Raises:
        GalleryNotFound: It was deleted.
        EngineError: Its index is kept by an engine, which fails.
    """

    def __init__(
        self, store: Store, row: GalleryRow, index: Callable[[int, Fetch], Index], *, thorough: bool = False
    ) -> None:
        self.row = row
        self._store = store
        self._make_index = index
        self._lock = ReadersWriterLock()
        self._loading = Lock()
        self._learning = Lock()  # what scores mean is learnt by one at a time
        self._erasing = Lock()  # a subject is erased by one at a time
        self._unfinished: dict[str, Change] = {}  # erasures that are committed and have no receipt yet
        self._next_expiry = math.inf
        self._newest = -1  # revision of the store, as far as it was told; ahead of ours when behind
        self._load(thorough=thorough)

    @property
    def rows(self) -> int:
        """Rows of its index: templates, or subjects when their templates are fused."""
        with self._reading():
            return len(self._owners)

    def describe(self) -> GalleryInfo:
        """State of the gallery."""
        row = self.row
        with self._reading():
            return GalleryInfo(
                row.name,
                row.encoder,
                row.contract,
                row.dimension,
                len(self._subjects),
                sum(len(subject.templates) for subject in self._subjects.values()),
                self._revision,
                self._policy.known(*self._size()),
                row.created_at,
                row.fusion,
                None if self._policy.calibration is None else self._policy.calibration.info,
                self._normalisation,
                self._space.generation,
            )

    def subjects(self) -> list[SubjectInfo]:
        """All subjects, by id."""
        with self._reading():
            return [
                SubjectInfo(name, tuple(map(str, subject.templates)), subject.enrolled_at, subject.terms)
                for name, subject in sorted(self._subjects.items())
            ]

    def require(self, subject: str) -> bytes:
        """The pseudonym of a subject.

        Raises:
            SubjectNotFound: It is not enrolled.
        """
        with self._reading():
            if subject not in self._subjects:
                raise subject_not_found(self.row.name, subject)
            return self._subjects[subject].pseudonym

    def require_new(self, subject: str) -> None:
        """Raise `SubjectExists` if the subject is enrolled."""
        with self._reading():
            if subject in self._subjects:
                raise subject_exists(self.row.name, subject)

    def add_subject(self, subject: str, samples: Sequence[Sample]) -> Change:
        """Enrol a new subject with all samples or none; see `Store.add_subject`."""
        samples = [replace(sample, vector=_unit(sample.vector)) for sample in samples]
        return self._store.add_subject(
            self.row, subject, samples, self._following(lambda change: self._add(change, subject, samples))
        )

    def add_templates(self, subject: str, samples: Sequence[Sample]) -> Change:
        """Add all samples to an enrolled subject or none; see `Store.add_templates`."""
        samples = [replace(sample, vector=_unit(sample.vector)) for sample in samples]
        return self._store.add_templates(
            self.row, subject, samples, self._following(lambda change: self._add(change, subject, samples))
        )

    def add_subjects(self, people: Mapping[str, Sequence[NDArray[np.float32]]]) -> Change:
        """Enrol many new subjects of vectors (D,) float32 in one change; see `Store.add_subjects`."""
        samples = {
            name: [Sample(_unit(vector), None, _NOWHERE) for vector in vectors]
            for name, vectors in people.items()
        }
        return self._store.add_subjects(
            self.row, samples, self._following(lambda change: self._add_all(change, samples))
        )

    def delete_subject(self, subject: str, action: AuditAction = AuditAction.DELETE_SUBJECT) -> Change:
        """Erase a subject; see `Store.delete_subject`."""
        then = self._following(lambda _: self._remove(subject))
        return self._store.delete_subject(self.row, subject, then, action)

    def require_erasable(self, subject: str) -> None:
        """Raise `SubjectNotFound` if nobody is enrolled so and no erasure of that name is unfinished."""
        if subject not in self._unfinished:
            self.require(subject)

    @contextmanager
    def erasing(self, subject: str) -> Iterator[Change]:
        """Erase a subject; what fails within the context is to be done again, and the change is kept for it.

        It is given again when the subject is erased again; one who was enrolled again meanwhile is
        deleted, too, and both are in it.

        Raises:
            SubjectNotFound: It is not enrolled, and no erasure of it is unfinished.
            StoreError: See `Store.delete_subject`.
        """
        remove = self._following(lambda _: self._remove(subject))

        def follow(change: Change) -> None:
            before = self._unfinished.get(subject)
            self._unfinished[subject] = change if before is None else change.joined(before)
            remove(change)

        with self._erasing:
            try:
                self._store.delete_subject(self.row, subject, follow, AuditAction.ERASE_SUBJECT)
            except SubjectNotFound:
                if subject not in self._unfinished:
                    raise
                self._store.empty_log()
            yield self._unfinished[subject]
            del self._unfinished[subject]

    def check_erased(self, ids: NDArray[np.int64]) -> None:
        """Ask the index, wherever it is kept, whether it holds none of the templates that were erased.

        Raises:
            EngineError: It holds one, or does not answer.
        """
        with self._reading():
            left = len(self._index.ids(ids))
        if left:
            raise EngineError(f"{left} erased rows are in the index", "none", "restart, and it is repaired")

    def set_terms(self, subject: str, terms: Terms) -> Change:
        """Hold a subject on other terms; see `Store.set_terms`."""
        return self._store.set_terms(
            self.row, subject, terms, self._following(lambda _: self._agree(subject, terms))
        )

    def expire(self, now: float) -> None:
        """Erase the subjects whose time is over.

        Raises:
            StoreError: One could not be erased.
        """
        if now < self._next_expiry:
            return
        with self._reading():
            over = [name for name, subject in self._subjects.items() if _expiry(subject.terms) <= now]
        for name in over:
            with suppress(SubjectNotFound, SubjectHeld), calling(actor="gaitid"):  # somebody was quicker
                self.delete_subject(name, AuditAction.EXPIRE_SUBJECT)
        with self._lock.writing():
            self._next_expiry = self._first_expiry()

    def export(self, subject: str) -> SubjectExport:
        """All that is held of a subject; see `Store.export`."""
        return self._store.export(self.row, subject)

    def set_operating_point(self, operating_point: OperatingPoint) -> None:
        """Decide by another operating point from now on.

        Raises:
            NotCalibrated: It names a target rate, and the gallery is not calibrated.
        """
        with self._reading():
            self._policy.resolve(operating_point, *self._size())
        decide = self._following(lambda _: self._decide_by(operating_point=operating_point))
        self._store.set_operating_point(self.row, operating_point, decide)

    def calibrate(self, impostors: Sequence[NDArray[np.float32]]) -> Calibration:
        """Learn what scores mean from strangers (D,) float32; without any, from its own subjects.

        Raises:
            NotCalibrated: There are too few comparisons.
        """
        with self._learning:
            contents = self._store.contents(self.row, most_subjects=MOST_SUBJECTS)
            placed = contents.space.place(_stacked(impostors)) if impostors else None
            calibration = learn(
                contents.vectors,
                contents.subjects,
                self.row.fusion,
                placed,
                normaliser=contents.space.normaliser,
            )
            decide = self._following(lambda _: self._decide_by(calibration=calibration))
            self._store.set_calibration(self.row, calibration, decide)
            return calibration.info

    def normalise(self, cohort: Sequence[NDArray[np.float32]], fpir: float) -> Normalisation:
        """Normalise scores by a cohort of strangers (D,) float32, if that does no harm at `fpir`.

        Raises:
            NotCalibrated: The cohort or the gallery are too small.
            NormalisationRefused: Fewer of the gallery's own held-out templates would be found.
            ConfigError: An engine keeps its index.
        """
        with self._learning:
            length = Normaliser.row_length(self.row.dimension)
            self._make_index(length, partial(self._fetch, self._space))  # refused where it cannot be
            contents = self._store.contents(self.row, most_subjects=MOST_SUBJECTS)
            made = check_cohort(contents, self.row.fusion, contents.space.place(_stacked(cohort)), fpir)
            self._store.set_cohort(self.row, made, contents.space.generation, self._falling_behind)
        return made.info

    def stop_normalising(self) -> None:
        """Erase the cohort; scores are plain from now on; see `Store.forget_cohort`."""
        with self._learning:
            self._store.forget_cohort(self.row, self._falling_behind)

    def renew_templates(self) -> int:
        """Bring all templates under a new projection; see `Store.renew_templates`.

        Searches go on in the index as it was until all are, unless an engine keeps it: then they wait
        while its rows are replaced.
        """
        read = partial(self._fetch, self._space)
        is_kept = bool(len(self._make_index(self._space.row_length, read)))
        count = self._store.renew_templates(self.row, self._falling_behind if is_kept else _go_on)
        with self._loading:
            self._load()
        return count

    @_repeated
    def search(
        self, vector: NDArray[np.float32], max_candidates: int, operating_point: OperatingPoint | None = None
    ) -> Found:
        """The subjects most like a probe, each scored over all its templates.

        Args:
            vector: (D,) float32 embedding of the probe.
            max_candidates: Subjects wanted, at least 1; an operating point may need more.
            operating_point: Operating point of this call; None = the gallery's.

        Raises:
            NotCalibrated: The operating point names a target rate, and the gallery is not calibrated.
        """
        with self._reading():
            probe = self._probe(vector)
            found = self._found((), operating_point)
            count = min(depth(found.operating_point, max_candidates), len(self._subjects))
            candidates = self._score(self._nearest_subjects(probe, count), probe)[:count]
            explained = self._policy.explained(candidates, *self._size())
            best = self._subjects[explained[0].subject].pseudonym if explained else b""
            return found._replace(candidates=explained, best=best)

    @_repeated
    def compare(
        self, subject: str, vector: NDArray[np.float32], operating_point: OperatingPoint | None = None
    ) -> Found:
        """The claimed subject alone, scored over all its templates.

        Raises:
            SubjectNotFound: It is not enrolled.
            NotCalibrated: See `search`.
        """
        with self._reading():
            if subject not in self._subjects:
                raise subject_not_found(self.row.name, subject)
            rows = len(self._subjects[subject].rows)
            candidates = self._score([subject], self._probe(vector))
            return self._found(self._policy.explained(candidates, 1, rows), operating_point)

    def without_search(self, operating_point: OperatingPoint | None = None) -> Found:
        """What is to be said of a probe too poor to search for.

        Raises:
            NotCalibrated: See `search`.
        """
        with self._reading():
            return self._found((), operating_point)

    @_repeated
    def suspicions(self, subject: str, samples: Sequence[tuple[int, Sample]]) -> tuple[EnrolmentWarning, ...]:
        """What speaks against enrolling numbered samples under this name.

        That samples are unlike is told only by a calibrated gallery.
        """
        found: list[EnrolmentWarning] = []
        with self._reading():
            placed = self._space.place(_stacked([sample.vector for _, sample in samples]))
            rows = self._space.rows(placed)
            for at, (number, _) in enumerate(samples):
                probe = self._space.probe(placed[at])
                found.extend(self._other_owner(number, subject, probe))
                found.extend(self._unlike_own(number, subject, probe, np.delete(rows, at, axis=0)))
        return tuple(found)

    def _other_owner(self, number: int, subject: str, probe: PlacedProbe) -> Iterator[EnrolmentWarning]:
        threshold = self._policy.resolve(None, *self._size()).threshold
        nearest = self._nearest_subjects(probe, min(2, len(self._subjects)))
        for candidate in self._score(nearest, probe):
            if candidate.subject != subject and candidate.score >= threshold:
                yield EnrolmentWarning(number, Suspicion.DUPLICATE, candidate.subject, candidate.score)
                return

    def _unlike_own(
        self, number: int, subject: str, probe: PlacedProbe, others: NDArray[np.float32]
    ) -> Iterator[EnrolmentWarning]:
        scores = probe.scores(others).tolist()
        if subject in self._subjects:
            scores.append(self._score([subject], probe)[0].score)
        calibration = self._policy.calibration
        if calibration is None or not scores:
            return
        score = max(-1.0, min(1.0, max(scores)))
        if calibration.fpir([score], 1)[0] >= _STRANGE:
            yield EnrolmentWarning(number, Suspicion.INCONSISTENT, subject, score)

    def _found(self, candidates: tuple[Candidate, ...], operating_point: OperatingPoint | None) -> Found:
        resolved = self._policy.resolve(operating_point, *self._size())
        return Found(candidates, self._revision, resolved, not self._subjects, b"")

    def _size(self) -> tuple[int, float]:
        """Subjects, and rows of the index that each has."""
        count = len(self._subjects)
        return count, len(self._owners) / count if count else 1.0

    def _probe(self, vector: NDArray[np.float32]) -> PlacedProbe:
        return self._space.probe(self._space.place(_unit(vector)[None])[0])

    def _nearest_subjects(self, probe: PlacedProbe, count: int) -> list[str]:
        """The `count` subjects of the nearest rows and a few, however many rows one of them has."""
        count = min(count + _SPARE_SUBJECTS, len(self._subjects))
        fetch = min(count * _TEMPLATES_A_SUBJECT, len(self._owners))
        while True:
            ids, _ = self._index.search(probe.vector[None], fetch)
            found = list(dict.fromkeys(self._owners[key] for key in ids[0].tolist()))
            if len(found) >= count or fetch == len(self._owners):
                return found[:count]
            fetch = min(4 * fetch, len(self._owners))

    def _score(self, subjects: list[str], probe: PlacedProbe) -> tuple[Candidate, ...]:
        keys = np.array([key for name in subjects for key in self._subjects[name].rows], np.int64)
        keys, scores = best(keys, probe.scores(self._index.vectors(keys)), len(keys))
        found: dict[str, Candidate] = {}
        for key, score in zip(keys.tolist(), scores.tolist(), strict=True):
            name = self._owners[key]
            if name not in found:
                found[name] = Candidate(name, max(-1.0, min(1.0, score)), str(key))
        return tuple(found.values())

    @contextmanager
    def _reading(self) -> Iterator[None]:
        while True:
            with self._lock.reading():
                if self._revision == self._newest:
                    yield
                    return
            with self._loading:  # by one thread: an index in an engine is repaired, not made anew
                if self._revision != self._newest:
                    self._load()

    def _catch_up(self, revision: int) -> None:
        """Wait until this is ahead of `revision`; begin anew if the store lost something without a change."""
        self._store.settle()
        with self._loading:
            if self._newest == revision:
                self._load()

    def _fetch(self, space: Space, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those rows of `ids` that there are, ascending, exactly as an index of that space was given them."""
        if self.row.fusion is Fusion.MAX:
            ids, vectors = self._store.vectors(self.row, ids, space)
        else:
            ids = np.unique(ids)
            vectors = self._pooled([self._subjects[self._owners[key]] for key in ids.tolist()])
        return ids, space.rows(vectors)

    def _load(self, *, thorough: bool = False) -> None:
        is_fused = self.row.fusion is not Fusion.MAX
        contents = self._store.contents(self.row, vectors=is_fused)
        space = contents.space
        read = partial(self._fetch, space)
        index = self._make_index(space.row_length, read)
        subjects: dict[str, _Subject] = {}
        owners: dict[int, str] = {}
        agreed = contents.terms
        rows = zip(
            contents.ids.tolist(),
            contents.subjects,
            contents.enrolled_at,
            contents.pseudonyms,
            strict=True,
        )
        for key, name, enrolled_at, pseudonym in rows:
            if name not in subjects:
                subjects[name] = self._new_subject(enrolled_at, pseudonym, agreed.get(name, _NO_TERMS))
            subjects[name].templates.append(key)
            owners[key] = name
        ids = contents.ids
        fetch: Fetch = read
        if is_fused:
            for name, vector in zip(contents.subjects, contents.vectors, strict=True):
                _pool(subjects[name]).add([vector])
            owners = {subject.templates[0]: name for name, subject in subjects.items()}
            ids = np.array(list(owners), np.int64)
            fetch = fetch_from(ids, space.rows(self._pooled(list(subjects.values()))))
        # Fused rows change under their ids; rows of an index that was there may be of another projection.
        by_vector = thorough or is_fused or bool(space.generation)
        self.repair = reconcile(index, ids, fetch, by_vector=by_vector)
        with self._lock.writing():
            self._index, self._subjects, self._owners = index, subjects, owners
            self._next_expiry = self._first_expiry()
            self._policy, self._space = contents.policy, space
            self._normalisation = contents.normalisation
            self._revision = contents.revision
            self._newest = max(self._newest, contents.revision)

    def _following(self, step: Callable[[Change], None]) -> Callable[[Change], None]:
        """Makes `step` follow a committed change; one that fails, and those after it, wait for a reload."""

        def follow(change: Change) -> None:
            with self._lock.writing():
                self._newest = change.revision
                if self._revision != change.revision - 1:
                    return
                try:
                    step(change)
                except Exception:
                    _LOG.exception(
                        "gallery falls behind at revision %d and will be reloaded", change.revision
                    )
                else:
                    self._revision = change.revision

        return follow

    def _falling_behind(self, change: Change) -> None:
        """Follows a change of the space: the next search, or whoever asks, loads all anew."""
        with self._lock.writing():
            self._newest = change.revision

    # The index goes first in both: it alone can fail, and then a reload starts from the store.

    def _add(self, change: Change, name: str, samples: Sequence[Sample]) -> None:
        vectors = self._space.place(np.stack([sample.vector for sample in samples]))
        keys = change.ids.tolist()
        if self.row.fusion is Fusion.MAX:
            self._index.add(change.ids, self._space.rows(vectors))
            self._owners.update(dict.fromkeys(keys, name))
            subject = self._subjects.setdefault(name, self._new_subject(change.at, change.pseudonyms[0]))
        else:
            subject = self._subjects.get(name) or self._new_subject(change.at, change.pseudonyms[0])
            _pool(subject).add(vectors)
            row = np.array([*subject.templates, *keys][:1], np.int64)
            if subject.templates:
                self._index.remove(row)
            self._index.add(row, self._space.rows(self._pooled([subject])))
            self._subjects[name] = subject
            self._owners[int(row[0])] = name
        subject.templates.extend(keys)

    def _add_all(self, change: Change, people: Mapping[str, Sequence[Sample]]) -> None:
        ids = np.split(change.ids, np.cumsum([len(samples) for samples in people.values()])[:-1])
        fresh = [self._new_subject(change.at, pseudonym) for pseudonym in change.pseudonyms]
        for subject, keys, samples in zip(fresh, ids, people.values(), strict=True):
            subject.templates.extend(keys.tolist())
            if subject.pool is not None:
                subject.pool.add(self._space.place(np.stack([sample.vector for sample in samples])))
        if self.row.fusion is Fusion.MAX:
            vectors = np.stack([one.vector for samples in people.values() for one in samples])
            self._index.add(change.ids, self._space.rows(self._space.place(vectors)))
        else:
            rows = self._space.rows(self._pooled(fresh))
            self._index.add(np.array([keys[0] for keys in ids], np.int64), rows)
        self._subjects.update(zip(people, fresh, strict=True))
        self._owners.update((key, name) for name in people for key in self._subjects[name].rows)

    def _remove(self, name: str) -> None:
        rows = self._subjects[name].rows
        self._index.remove(np.array(rows, np.int64))
        del self._subjects[name]
        for key in rows:
            del self._owners[key]

    def _decide_by(
        self, *, operating_point: OperatingPoint | None = None, calibration: ScoreCalibration | None = None
    ) -> None:
        self._policy = Policy(
            operating_point or self._policy.operating_point, calibration or self._policy.calibration
        )

    def _agree(self, name: str, terms: Terms) -> None:
        self._subjects[name].terms = terms
        self._next_expiry = min(self._next_expiry, _expiry(terms))  # too early costs a look, not a subject

    def _first_expiry(self) -> float:
        return min((_expiry(subject.terms) for subject in self._subjects.values()), default=math.inf)

    def _new_subject(self, enrolled_at: float, pseudonym: bytes, terms: Terms = _NO_TERMS) -> _Subject:
        pool = None if self.row.fusion is Fusion.MAX else Pool(self.row.dimension)
        return _Subject([], enrolled_at, pseudonym, terms, pool)

    def _pooled(self, subjects: list[_Subject]) -> NDArray[np.float32]:
        rows = [_pool(subject).row(self.row.fusion) for subject in subjects]
        return np.array(rows, np.float32).reshape(-1, self.row.dimension)


def _expiry(terms: Terms) -> float:
    """When a subject's time is over, Unix seconds; infinity = never."""
    return math.inf if terms.expires_at is None or terms.legal_hold else terms.expires_at


def _pool(subject: _Subject) -> Pool:
    if subject.pool is None:
        raise TypeError("a subject of fusion MAX has no pool")
    return subject.pool


def _go_on(_: Change) -> None:
    """Follows a change that what was loaded before it is not wrong about."""


def _stacked(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.stack([_unit(vector) for vector in vectors])


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Norm 1 to float32 precision: a record allows 0.1 % off, which would bend the cosine."""
    wide = vector.astype(np.float64)
    return (wide / np.linalg.norm(wide)).astype(np.float32)
