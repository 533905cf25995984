"""What a gallery answers at one revision and one time; expired subjects are in no answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index.ranking import best
from gaitid.gallery.scoring.calibration import ScoreCalibration
from gaitid.gallery.scoring.policy import Policy, depth
from gaitid.gallery.scoring.profiles import Site
from gaitid.gallery.scoring.space import PlacedProbe
from gaitid.gallery.state import State, Subject
from gaitid.gallery.store.refusals import subject_exists, subject_not_found
from gaitid.records import (
    Candidate,
    EnrolmentWarning,
    GalleryInfo,
    OperatingPoint,
    SubjectInfo,
    Suspicion,
)

_TEMPLATES_PER_SUBJECT = 4
"""Templates fetched at first for each wanted subject; more are fetched while subjects are missing."""

_SPARE_SUBJECTS = 8
"""Subjects scored beyond those wanted: an index that stores 8 bits per dimension may order them wrongly."""

_UNLIKE = 0.05
"""A sample is unlike the subject's others when impostors exceed its score at this rate."""


class Found(NamedTuple):
    """Result of a search.

    Attributes:
        candidates: Best first, equal scores by template id; empty when the gallery is.
        revision: The revision that was searched.
        operating_point: The operating point to apply, resolved for that revision.
        is_empty: Whether the gallery has no template.
        best: Pseudonym of the first candidate; empty when there is none.
        profile_version: Version of the camera profile that corrected the probe; 0 = none did.
    """

    candidates: tuple[Candidate, ...]
    revision: int
    operating_point: OperatingPoint
    is_empty: bool
    best: bytes
    profile_version: int = 0


class GalleryView:
    """A state without the subjects that have expired at one time; read while the state is locked.

    Args:
        state: The state.
        now: The time, Unix seconds.

    Attributes:
        state: The state.
        expired: Names of the subjects that have expired.
    """

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.expired = state.expiries.expired(now)

    def __contains__(self, subject: str) -> bool:
        return subject in self.state.subjects and subject not in self.expired

    def describe(self) -> GalleryInfo:
        """Describe the gallery."""
        state, row, calibration = self.state, self.state.row, self._policy.calibration
        return GalleryInfo(
            row.name,
            row.encoder,
            row.contract,
            row.dimension,
            self._count,
            sum(len(subject.templates) for _, subject in self._subjects()),
            state.revision,
            self._policy.known(*self.size()),
            row.created_at,
            row.fusion,
            None if calibration is None else calibration.info,
            state.normalisation,
            state.space.generation,
            state.profiles,
        )

    def subjects(self) -> list[SubjectInfo]:
        """List the subjects, by name."""
        return [
            SubjectInfo(name, tuple(map(str, subject.templates)), subject.enrolled_at, subject.terms)
            for name, subject in sorted(self._subjects())
        ]

    def require(self, name: str) -> Subject:
        """Return a subject.

        Raises:
            SubjectNotFound: It is not enrolled, or has expired.
        """
        if name not in self:
            raise subject_not_found(self.state.row.name, name)
        return self.state.subjects[name]

    def require_new(self, name: str) -> None:
        """Raise `SubjectExists` if the subject is enrolled and has not expired."""
        if name in self:
            raise subject_exists(self.state.row.name, name)

    def size(self) -> tuple[int, float]:
        """Return the number of subjects, and the mean number of rows of the index that each has."""
        expired_rows = sum(len(self.state.subjects[name].rows) for name in self.expired)
        rows = len(self.state.owners) - expired_rows
        return self._count, rows / self._count if self._count else 1.0

    def search(
        self,
        vector: NDArray[np.float32],
        site: Site,
        max_candidates: int,
        operating_point: OperatingPoint | None,
    ) -> Found:
        """See `Gallery.search`; `vector` has norm 1."""
        probe = self._probe(vector, site)
        found = self._searched((), vector, site, operating_point)
        count = min(depth(found.operating_point, max_candidates), self._count)
        candidates = self._score(self._nearest_subjects(probe, count), probe)[:count]
        explained = self._explained(candidates, *self.size())
        first = self.state.subjects[explained[0].subject].pseudonym if explained else b""
        return found._replace(candidates=explained, best=first)

    def compare(
        self, name: str, vector: NDArray[np.float32], site: Site, operating_point: OperatingPoint | None
    ) -> Found:
        """See `Gallery.compare`; `vector` has norm 1."""
        rows = len(self.require(name).rows)
        candidates = self._score([name], self._probe(vector, site))
        explained = self._explained(candidates, 1, rows)
        return self._searched(explained, vector, site, operating_point)

    def found(self, candidates: tuple[Candidate, ...], operating_point: OperatingPoint | None) -> Found:
        """Return a result with these candidates.

        Raises:
            NotCalibrated: The operating point names a target rate, and the gallery is not calibrated.
        """
        resolved = self._policy.resolve(operating_point, *self.size())
        return Found(candidates, self.state.revision, resolved, not self._count, b"")

    def suspicions(
        self, name: str, numbers: Sequence[int], vectors: NDArray[np.float32], sites: Sequence[Site]
    ) -> Iterator[EnrolmentWarning]:
        """Yield the warnings about samples (M, D) of norm 1 for a subject; see `Gallery.suspicions`."""
        placed = self.state.space.place(vectors, sites)
        rows = self.state.space.rows(placed)
        for at, number in enumerate(numbers):
            probe = self.state.space.probe(placed[at])
            yield from self._other_owner(number, name, probe)
            yield from self._unlike_own(number, name, probe, np.delete(rows, at, axis=0))

    @property
    def _policy(self) -> Policy:
        """How the gallery decides about scores as they are now, by the calibration of their kind."""
        policy, corrected = self.state.policy, bool(self.state.space.profiles)
        if policy.calibration is None:
            return policy
        return replace(policy, calibration=policy.calibration.fitting(corrected=corrected))

    @property
    def _count(self) -> int:
        return len(self.state.subjects) - len(self.expired)

    def _subjects(self) -> Iterator[tuple[str, Subject]]:
        return ((name, one) for name, one in self.state.subjects.items() if name not in self.expired)

    def _other_owner(self, number: int, name: str, probe: PlacedProbe) -> Iterator[EnrolmentWarning]:
        threshold = self._policy.resolve(None, *self.size()).threshold
        nearest = self._nearest_subjects(probe, min(2, self._count))
        for candidate in self._score(nearest, probe):
            if candidate.subject != name and candidate.score >= threshold:
                yield EnrolmentWarning(number, Suspicion.DUPLICATE, candidate.subject, candidate.score)
                return

    def _unlike_own(
        self, number: int, name: str, probe: PlacedProbe, others: NDArray[np.float32]
    ) -> Iterator[EnrolmentWarning]:
        scores = probe.scores(others).tolist()
        if name in self:
            scores.extend(candidate.score for candidate in self._score([name], probe))
        calibration = self._policy.calibration
        if calibration is None or not scores or not self._fits(calibration):
            return
        score = max(-1.0, min(1.0, max(scores)))
        (rate,) = calibration.fpir([score], 1)
        if rate >= _UNLIKE:
            yield EnrolmentWarning(number, Suspicion.INCONSISTENT, name, score)

    def _searched(
        self,
        candidates: tuple[Candidate, ...],
        vector: NDArray[np.float32],
        site: Site,
        operating_point: OperatingPoint | None,
    ) -> Found:
        """Return a result for a probe; see `found`."""
        version = self.state.space.profiles.version(site, vector)
        return self.found(candidates, operating_point)._replace(profile_version=version)

    def _explained(
        self, candidates: tuple[Candidate, ...], subjects: int, rows: float
    ) -> tuple[Candidate, ...]:
        """Add rates to candidates, unless the calibration is of another kind of score."""
        policy = self._policy
        if policy.calibration is None or not self._fits(policy.calibration):
            return candidates
        return policy.explained(candidates, subjects, rows)

    def _fits(self, calibration: ScoreCalibration) -> bool:
        """Whether a calibration is of scores as they are now, corrected by camera profiles or not."""
        return calibration.info.corrected == bool(self.state.space.profiles)

    def _probe(self, vector: NDArray[np.float32], site: Site) -> PlacedProbe:
        (placed,) = self.state.space.place(vector[None], [site])
        return self.state.space.probe(placed)

    def _nearest_subjects(self, probe: PlacedProbe, count: int) -> list[str]:
        """Return the `count` subjects of the nearest rows and a few more, however many rows each has."""
        state = self.state
        count = min(count + _SPARE_SUBJECTS, self._count)
        fetch = min((count + len(self.expired)) * _TEMPLATES_PER_SUBJECT, len(state.owners))
        while True:
            ids, _ = state.index.search(probe.vector[None], fetch)
            owners = dict.fromkeys(state.owners[key] for key in ids.ravel().tolist())
            found = [name for name in owners if name not in self.expired]
            if len(found) >= count or fetch == len(state.owners):
                return found[:count]
            fetch = min(4 * fetch, len(state.owners))

    def _score(self, names: list[str], probe: PlacedProbe) -> tuple[Candidate, ...]:
        """Return candidates for subjects, each scored over all its rows, best first."""
        subjects, index = self.state.subjects, self.state.index
        keys = np.array([key for name in names for key in subjects[name].rows], np.int64)
        keys, scores = best(keys, probe.scores(index.vectors(keys)), len(keys))
        found: dict[str, Candidate] = {}
        for key, score in zip(keys.tolist(), scores.tolist(), strict=True):
            name = self.state.owners[key]
            if name not in found:
                found[name] = Candidate(name, max(-1.0, min(1.0, score)), str(key))
        return tuple(found.values())
