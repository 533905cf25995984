"""A gallery: one stored gallery, ready to be searched."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import wraps
from threading import Lock
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from gaitid.caller import calling
from gaitid.errors import EngineError, GaitIdError, SubjectHeld, SubjectNotFound
from gaitid.gallery.index.protocol import VectorsGone
from gaitid.gallery.learner import Learner, Walk, corrected_by, derived
from gaitid.gallery.lock import ReadersWriterLock
from gaitid.gallery.meetings import Meetings
from gaitid.gallery.scoring.calibration import MOST_SUBJECTS, ScoreCalibration, learn
from gaitid.gallery.scoring.cohort import Walks, check_cohort
from gaitid.gallery.scoring.learning import Owner
from gaitid.gallery.scoring.normalisation import Normaliser
from gaitid.gallery.scoring.policy import Policy
from gaitid.gallery.scoring.profiles import NOWHERE, Profiles, Site
from gaitid.gallery.state import MakeIndex, State
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.rows import Change, EnrolmentSample, GalleryRow
from gaitid.gallery.view import Found, GalleryView
from gaitid.records import (
    AuditAction,
    Calibration,
    CameraProfile,
    EnrolmentWarning,
    Fusion,
    GalleryInfo,
    Normalisation,
    OperatingPoint,
    Origin,
    SubjectExport,
    SubjectInfo,
    Terms,
)

_LOG = logging.getLogger(__name__)
_NO_ORIGIN = Origin()
_MOST_AT_ONCE = 20_000
"""Rows above which `save_profiles` brings new profiles into use, and not the walk after which they are due:
deriving the rows of a profile takes 20 to 50 CPU us each."""

P = ParamSpec("P")
T = TypeVar("T")


def _repeated(ask: Callable[Concatenate[Gallery, P], T]) -> Callable[Concatenate[Gallery, P], T]:
    """Ask again when a template was erased between the search and the reading of its vector."""

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
    """One stored gallery in memory: an index, and which subject owns which template.

    A change is first committed to the store and then applied here, in the order of the commits. Searches
    share a lock that a change holds alone while it is applied, so every answer belongs to exactly one
    revision. If a committed change cannot be applied (no memory), the gallery is reloaded from the store.

    Expired subjects are in no answer, from the second in which they expire. They stay in the store until
    `expire` erases them.

    Args:
        store: Where the gallery is stored.
        row: The gallery.
        index: Makes its index.
        thorough: Compare all vectors of the index with the store's now, not the ids alone.

    Attributes:
        repair: Rows that were missing and left over in the index when it was last loaded.

    Raises:
        GalleryNotFound: The gallery was deleted.
        EngineError: An engine keeps its index, and fails.
    """

    def __init__(self, store: Store, row: GalleryRow, index: MakeIndex, *, thorough: bool = False) -> None:
        self.row = row
        self._store = store
        self._make_index = index
        self._lock = ReadersWriterLock()
        self._loading = Lock()
        self._learning = Lock()  # one calibration or normalisation at a time
        self._erasing = Lock()  # one erasure at a time
        self._unfinished: dict[str, Change] = {}  # erasures that are committed and have no receipt yet
        self._newest = -1  # revision of the store, as far as known; ahead of the state's when that is behind
        self._is_outdated = False  # the state is right for its revision, but a newer one should be loaded
        self._load(thorough=thorough)
        self._meetings = Meetings(self._state.policy.calibration)
        self._learner = Learner(store, row, self._applying, self._owns)

    # -- reading -----------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """Rows of the index: templates, or subjects when their templates are fused; the expired included."""
        with self._reading() as view:
            return len(view.state.owners)

    def describe(self) -> GalleryInfo:
        """Describe the gallery."""
        with self._reading() as view:
            return view.describe()

    def subjects(self) -> list[SubjectInfo]:
        """List all subjects, by name."""
        with self._reading() as view:
            return view.subjects()

    def require(self, subject: str) -> bytes:
        """Return the pseudonym of a subject.

        Raises:
            SubjectNotFound: It is not enrolled.
        """
        with self._reading() as view:
            return view.require(subject).pseudonym

    def require_new(self, subject: str) -> None:
        """Raise `SubjectExists` if the subject is enrolled."""
        with self._reading() as view:
            view.require_new(subject)

    def export(self, subject: str) -> SubjectExport:
        """Export everything stored about a subject; see `Subjects.export`."""
        return self._store.subjects.export(self.row, subject)

    # -- searching ---------------------------------------------------------------------------------

    @_repeated
    def search(
        self,
        vector: NDArray[np.float32],
        max_candidates: int,
        operating_point: OperatingPoint | None = None,
        site: Site = NOWHERE,
    ) -> Found:
        """Find the subjects most similar to a probe, each scored over all its templates.

        Args:
            vector: (D,) float32 embedding of the probe.
            max_candidates: Subjects wanted, at least 1; more are returned if the operating point needs them.
            operating_point: Operating point of this call; None = the gallery's.
            site: Where the probe was seen.

        Raises:
            NotCalibrated: The operating point names a target rate, and the gallery is not calibrated.
        """
        with self._reading() as view:
            return view.search(_unit(vector), site, max_candidates, operating_point)

    @_repeated
    def compare(
        self,
        subject: str,
        vector: NDArray[np.float32],
        operating_point: OperatingPoint | None = None,
        site: Site = NOWHERE,
    ) -> Found:
        """Score one subject over all its templates.

        Raises:
            SubjectNotFound: It is not enrolled.
            NotCalibrated: See `search`.
        """
        with self._reading() as view:
            return view.compare(subject, _unit(vector), site, operating_point)

    def without_search(self, operating_point: OperatingPoint | None = None) -> Found:
        """Return the result for a probe whose quality is too low to search.

        Raises:
            NotCalibrated: See `search`.
        """
        with self._reading() as view:
            return view.found((), operating_point)

    @_repeated
    def suspicions(
        self, subject: str, samples: Sequence[tuple[int, EnrolmentSample]]
    ) -> tuple[EnrolmentWarning, ...]:
        """Return warnings about numbered samples that are to be enrolled for a subject.

        Samples that are unlike the subject's others are reported only if the gallery is calibrated.
        """
        numbers = [number for number, _ in samples]
        vectors = _stacked([sample.vector for _, sample in samples])
        sites = [sample.site for _, sample in samples]
        with self._reading() as view:
            return tuple(view.suspicions(subject, numbers, vectors, sites))

    # -- subjects ----------------------------------------------------------------------------------

    def add_subject(self, subject: str, samples: Sequence[EnrolmentSample]) -> Change:
        """Enrol a new subject with all samples or none; see `Subjects.add`."""
        return self.add_many({subject: samples})

    def add_subjects(self, subjects: Mapping[str, Sequence[NDArray[np.float32]]]) -> Change:
        """Enrol many new subjects of vectors (D,) float32 in one change; see `Subjects.add_many`."""
        return self.add_many(
            {
                name: [EnrolmentSample(vector, None, _NO_ORIGIN) for vector in vectors]
                for name, vectors in subjects.items()
            }
        )

    def add_many(self, subjects: Mapping[str, Sequence[EnrolmentSample]]) -> Change:
        """Enrol many new subjects with their samples in one change; see `Subjects.add_many`."""
        normed = {name: _normed(samples) for name, samples in subjects.items()}
        follow = self._following(lambda state, change: state.add_subjects(change, normed))

        def then(change: Change) -> None:
            follow(change)
            self._learner.drop(change.expired)

        change = self._store.subjects.add_many(self.row, normed, then)
        self.renew_profiles()
        return change

    def add_templates(self, subject: str, samples: Sequence[EnrolmentSample]) -> Change:
        """Add all samples to an enrolled subject or none; see `Subjects.add_templates`."""
        samples = _normed(samples)
        then = self._following(lambda state, change: state.add_samples(change, subject, samples))
        return self._store.subjects.add_templates(self.row, subject, samples, then)

    def set_terms(self, subject: str, terms: Terms) -> Change:
        """Set the terms of a subject; see `Subjects.set_terms`."""
        then = self._following(lambda state, _: state.set_terms(subject, terms))
        return self._store.subjects.set_terms(self.row, subject, terms, then)

    def delete_subject(self, subject: str, action: AuditAction = AuditAction.DELETE_SUBJECT) -> Change:
        """Erase a subject; see `Subjects.delete`."""
        then = self._removing([subject])
        change = self._store.subjects.delete(self.row, subject, then, action)
        self.renew_profiles()
        return change

    def expire(self) -> None:
        """Erase the expired subjects; recorded as actions of gaitid.

        Raises:
            StoreError: One could not be erased.
        """
        if time.time() < self._state.expiries.next:
            return
        with self._reading() as view:
            expired = sorted(view.expired)
        for name in expired:
            with suppress(SubjectNotFound, SubjectHeld), calling(actor="gaitid"):  # changed by another thread
                self.delete_subject(name, AuditAction.EXPIRE_SUBJECT)

    def require_erasable(self, subject: str) -> None:
        """Raise `SubjectNotFound` if the subject is not enrolled and no erasure of it is unfinished."""
        if subject not in self._unfinished:
            self.require(subject)

    @contextmanager
    def erasing(self, subject: str) -> Iterator[Change]:
        """Erase a subject; the context does what remains until there is a receipt.

        If the context fails, the change is kept and yielded again when the subject is erased again. A subject
        that was enrolled under the same name meanwhile is then deleted too, and the change covers both.

        Raises:
            SubjectNotFound: It is not enrolled, and no erasure of it is unfinished.
            StoreError: See `Subjects.delete`.
        """
        remove = self._removing([subject])

        def follow(change: Change) -> None:
            before = self._unfinished.get(subject)
            self._unfinished[subject] = change if before is None else change.joined(before)
            remove(change)

        with self._erasing:
            try:
                self._store.subjects.delete(self.row, subject, follow, AuditAction.ERASE_SUBJECT)
            except SubjectNotFound:
                if subject not in self._unfinished:
                    raise
                self._store.empty_log()
            self.renew_profiles()
            yield self._unfinished[subject]
            del self._unfinished[subject]

    def check_erased(self, ids: NDArray[np.int64]) -> None:
        """Ask the index, wherever it is kept, whether it holds a template that was erased.

        Raises:
            EngineError: It holds one, or does not answer.
        """
        with self._reading() as view:
            left = len(view.state.index.ids(ids))
        if left:
            raise EngineError(
                f"The index still holds {left} erased rows",
                "none of them",
                "Restart, which repairs the index",
            )

    # -- the gallery as a whole --------------------------------------------------------------------

    def set_operating_point(self, operating_point: OperatingPoint) -> None:
        """Decide by another operating point from now on.

        Raises:
            NotCalibrated: It names a target rate, and the gallery is not calibrated.
        """
        with self._reading() as view:
            view.found((), operating_point)

        def decide_by(state: State, _: Change) -> None:
            state.policy = Policy(operating_point, state.policy.calibration)

        then = self._following(decide_by)
        self._store.galleries.set_operating_point(self.row, operating_point, then)

    def calibrate(self, impostors: Walks | None) -> Calibration:
        """Learn what scores mean from impostors; None = from the gallery's own subjects.

        Raises:
            NotCalibrated: There are too few comparisons.
        """
        with self._learning:
            contents = self._store.galleries.contents(self.row, most_subjects=MOST_SUBJECTS)
            space, known = contents.space, contents.policy.calibration
            placed = None if impostors is None else space.place(_stacked(impostors.vectors), impostors.sites)
            calibration = learn(
                contents.vectors,
                contents.subjects,
                self.row.fusion,
                placed,
                normaliser=space.normaliser,
                corrected=bool(space.profiles),
                card=None if known is None else known.card(corrected=bool(space.profiles)),
            )
            self._set_calibration(calibration.following(known))
            return calibration.info

    def normalise(self, cohort: Walks, fpir: float) -> Normalisation:
        """Normalise scores by a cohort of other people, if that does no harm at `fpir`.

        Raises:
            NotCalibrated: The cohort or the gallery is too small.
            NormalisationRefused: Fewer of the gallery's own left-out templates would be found.
            ConfigError: An engine keeps the index.
        """
        with self._learning:
            length = Normaliser.row_length(self.row.dimension)
            self._make_index(length, self._state.fetch)  # refused where it cannot be
            contents = self._store.galleries.contents(self.row, most_subjects=MOST_SUBJECTS)
            walks = Walks(_stacked(cohort.vectors), cohort.sites)
            made = check_cohort(
                contents.vectors, contents.subjects, self.row.fusion, walks, contents.space, fpir
            )
            generation = contents.space.generation
            self._store.galleries.set_cohort(self.row, made, generation, self._falling_behind)
        return made.info

    def stop_normalising(self) -> None:
        """Erase the cohort; scores are plain from now on; see `Galleries.erase_cohort`."""
        with self._learning:
            self._store.galleries.erase_cohort(self.row, self._falling_behind)

    def renew_templates(self) -> int:
        """Bring all templates under a new projection; see `Galleries.renew_templates`.

        Searches go on in the old index until all are renewed. If an engine keeps the index, they wait while
        its rows are replaced.
        """
        state = self._state
        is_kept = bool(len(self._make_index(state.space.row_length, state.fetch)))
        then = self._falling_behind if is_kept else _go_on
        count = self._store.galleries.renew_templates(self.row, then)
        with self._loading:
            self._load()
        return count

    # -- cameras -----------------------------------------------------------------------------------

    def learn(self, walks: Sequence[Walk]) -> None:
        """Learn camera profiles from accepted walks, if the gallery does, and from who came together.

        It is not worth the answer to the walk: a failure is logged, and a later walk tries again.
        """
        try:
            self._meet(walks)
            if self._state.profiles and any(walk.site.camera for walk in walks):
                self._learn(walks)
        except GaitIdError as error:
            _LOG.error("what a walk tells could not be stored: %s", error.code)

    def learn_at_once(self, walks: Sequence[Walk]) -> CameraProfile:
        """Learn from one walk or more of one camera; return the profile that most of them are part of.

        Raises:
            StoreError: It cannot be stored.
        """
        sites = self._learn(walks, waits=True)
        return self._learner.describe_one(max(sites, key=sites.count))

    def _learn(self, walks: Sequence[Walk], *, waits: bool = False) -> list[Site]:
        normed = [replace(walk, vector=_unit(walk.vector)) for walk in walks]
        later = not waits and len(self._state.owners) > _MOST_AT_ONCE
        sites = self._learner.learn(normed, waits=waits, later=later)
        self._load_newer()
        return sites

    def set_profiles(self, profiles: bool) -> None:
        """Switch camera profiles on or off; the first time they are on, learn from the enrolled walks."""
        self._store.cameras.set_profiles(self.row, profiles, self._falling_behind)
        if profiles and not self._learner.describe():
            self._learn(self._learner.enrolled(), waits=True)

    def cameras(self) -> list[CameraProfile]:
        """List the camera profiles."""
        return self._learner.describe()

    def forget_camera(self, camera: str) -> int:
        """Forget the profiles of a camera; return how many there were."""
        count = self._learner.forget(camera)
        self._load_newer()
        return count

    def renew_profiles(self) -> None:
        """Make all profiles again if a subject that they rest on was erased."""
        self._learner.renew()
        self._load_newer()

    def save_profiles(self) -> None:
        """Use the profiles that are due, and store what was learned since."""
        self._learner.save()
        self._load_newer()

    def _owns(self, owner: Owner) -> bool:
        subject = self._state.subjects.get(owner.name)
        return subject is not None and subject.pseudonym == owner.pseudonym

    def _removing(self, names: Sequence[str]) -> Callable[[Change], None]:
        """Return a function that follows the erasure of subjects."""

        def remove(state: State, _: Change) -> None:
            for name in names:
                state.remove(name)

        follow = self._following(remove)

        def then(change: Change) -> None:
            follow(change)
            self._learner.drop(names)
            self._meetings.forget()

        return then

    def _applying(self, profiles: Profiles, fresh: Collection[Site]) -> Callable[[Change], None]:
        """Return a function that follows new profiles of some sites; see `learner.Apply`.

        Rows are derived before the commit, while searches go on, and exchanged after it at once.
        """
        with self._reading() as view:
            base, is_plain = view.state.space, not view.state.is_fused
            if not view.state.profiles:
                return self._following(lambda *_: None)
        if not is_plain or base.normaliser is not None:  # every row may change
            return self._outdating
        space = replace(base, profiles=profiles)
        store, row = self._store, self.row
        ids, rows = derived(store, row, corrected_by(store, row, profiles, fresh), space)

        def use(state: State, _: Change) -> None:
            if state.space is not base:
                raise RuntimeError("the space has changed since rows were derived")
            late = np.setdiff1d(corrected_by(store, row, profiles, fresh), ids)
            more, their_rows = derived(store, row, late, space)
            state.use(space, np.concatenate((ids, more)), np.concatenate((rows, their_rows)))

        return self._following(use)

    # -- following the store -----------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[GalleryView]:
        """Yield a view of the newest revision, without the subjects that have expired now."""
        while True:
            with self._lock.reading():
                if self._state.revision == self._newest:
                    yield GalleryView(self._state, time.time())
                    return
            with self._loading:  # by one thread: an index in an engine is repaired, not rebuilt
                if self._state.revision != self._newest:
                    self._load()

    def _load(self, *, thorough: bool = False) -> None:
        self._is_outdated = False
        contents = self._store.galleries.contents(self.row, vectors=self.row.fusion is not Fusion.MAX)
        state = State(self._store, self.row, contents, self._make_index)
        self.repair = state.fill(thorough=thorough)
        with self._lock.writing():
            self._state = state
            self._newest = max(self._newest, state.revision)

    def _following(self, step: Callable[[State, Change], None]) -> Callable[[Change], None]:
        """Return a function that applies a committed change to the state by `step`.

        If `step` fails, this change and later ones are not applied, and the next read reloads the gallery.
        """

        def follow(change: Change) -> None:
            with self._lock.writing():
                self._newest = change.revision
                if self._state.revision != change.revision - 1:
                    return
                try:
                    step(self._state, change)
                except Exception:
                    _LOG.exception(
                        "gallery falls behind at revision %d and will be reloaded", change.revision
                    )
                else:
                    self._state.revision = change.revision

        return follow

    def _outdating(self, _: Change) -> None:
        """Follow a change of the space that leaves the state right for its own revision."""
        self._is_outdated = True

    def _load_newer(self) -> None:
        """Load the newest revision if the state is outdated; searches go on in the old one meanwhile."""
        if self._is_outdated:
            with self._loading:
                self._load()

    def _falling_behind(self, change: Change) -> None:
        """Follow a change of the space: the next read reloads the gallery."""
        with self._lock.writing():
            self._newest = change.revision

    def _catch_up(self, revision: int) -> None:
        """Wait until this is ahead of `revision`; reload if the store lost something without a change."""
        self._store.settle()
        with self._loading:
            if self._newest == revision:
                self._load()

    def _meet(self, walks: Sequence[Walk]) -> None:
        """Calibrate by people who were seen together, unless there is a better basis."""
        policy = self._state.policy
        better = self._meetings.learn(walks, self._state.space.profiles, policy.calibration)
        if better is not None and self._learning.acquire(blocking=False):
            try:
                if self._state.policy is policy:
                    self._set_calibration(better)
            finally:
                self._learning.release()

    def _set_calibration(self, calibration: ScoreCalibration) -> None:
        def decide_by(state: State, _: Change) -> None:
            state.policy = Policy(state.policy.operating_point, calibration)

        self._store.galleries.set_calibration(self.row, calibration, self._following(decide_by))


def _go_on(_: Change) -> None:
    """Follow a change that leaves what was loaded before it right."""


def _normed(samples: Sequence[EnrolmentSample]) -> list[EnrolmentSample]:
    return [replace(sample, vector=_unit(sample.vector)) for sample in samples]


def _stacked(vectors: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.stack([_unit(vector) for vector in vectors])


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale a vector to norm 1 in float32; records allow norms 0.1 % off, which would distort the cosine."""
    wide = vector.astype(np.float64)
    return (wide / np.linalg.norm(wide)).astype(np.float32)
