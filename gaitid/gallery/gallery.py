"""A gallery: what the store holds of it, ready to be searched."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index import Index, best, exact_scores
from gaitid.gallery.lock import ReadersWriterLock
from gaitid.gallery.store import Change, GalleryRow, Sample, Store, subject_exists, subject_not_found
from gaitid.records import Candidate, GalleryInfo, SubjectInfo

_LOG = logging.getLogger(__name__)

_TEMPLATES_A_SUBJECT = 4
"""Templates fetched at first for each wanted subject; more are fetched while subjects are missing."""


@dataclass(slots=True)
class _Subject:
    templates: list[int]
    enrolled_at: float


class Gallery:
    """The projection of one stored gallery into memory: an index, and who owns which template.

    A change is committed first and applied then, in the order of the commits. Searches share a
    lock that a change takes alone while it is applied, so every answer belongs to exactly one
    revision. A committed change that cannot be applied (no memory) costs a reload, never data.

    Args:
        store: Where it is kept.
        row: Which of its galleries.
        index: The class of its index.

    Raises:
        GalleryNotFound: It was deleted.
    """

    def __init__(self, store: Store, row: GalleryRow, index: Callable[[int], Index]) -> None:
        self.row = row
        self._store = store
        self._make_index = index
        self._lock = ReadersWriterLock()
        self._newest = -1  # revision of the store, as far as it was told; ahead of ours when behind
        self._load()

    def describe(self) -> GalleryInfo:
        """State of the gallery."""
        with self._reading():
            return GalleryInfo(
                self.row.name,
                self.row.encoder,
                self.row.contract,
                self.row.dimension,
                len(self._subjects),
                len(self._owners),
                self._revision,
                self.row.operating_point,
                self.row.created_at,
            )

    def subjects(self) -> list[SubjectInfo]:
        """All subjects, by id."""
        with self._reading():
            return [
                SubjectInfo(name, tuple(map(str, subject.templates)), subject.enrolled_at)
                for name, subject in sorted(self._subjects.items())
            ]

    def require(self, subject: str) -> None:
        """Raise `SubjectNotFound` unless the subject is enrolled."""
        with self._reading():
            if subject not in self._subjects:
                raise subject_not_found(self.row.name, subject)

    def require_new(self, subject: str) -> None:
        """Raise `SubjectExists` if the subject is enrolled."""
        with self._reading():
            if subject in self._subjects:
                raise subject_exists(self.row.name, subject)

    def add_subject(self, subject: str, samples: Sequence[Sample]) -> Change:
        """Enrol a new subject with all samples or none; see `Store.add_subject`."""
        samples = [replace(sample, vector=_unit(sample.vector)) for sample in samples]
        return self._store.add_subject(
            self.row, subject, samples, lambda change: self._apply(change, self._add, subject, samples)
        )

    def add_templates(self, subject: str, samples: Sequence[Sample]) -> Change:
        """Add all samples to an enrolled subject or none; see `Store.add_templates`."""
        samples = [replace(sample, vector=_unit(sample.vector)) for sample in samples]
        return self._store.add_templates(
            self.row, subject, samples, lambda change: self._apply(change, self._add, subject, samples)
        )

    def delete_subject(self, subject: str) -> Change:
        """Erase a subject; see `Store.delete_subject`."""
        return self._store.delete_subject(
            self.row, subject, lambda change: self._apply(change, self._remove, subject, ())
        )

    def search(self, vector: NDArray[np.float32], max_candidates: int) -> tuple[tuple[Candidate, ...], int]:
        """The subjects most like a probe, each scored by the best of all its templates.

        Args:
            vector: (D,) float32 embedding of the probe.
            max_candidates: Most subjects to return, at least 1.

        Returns:
            candidates: Best first, equal scores by template id; empty when the gallery is.
            revision: The state that was searched.
        """
        vector = _unit(vector)
        with self._reading():
            subjects = self._nearest_subjects(vector, min(max_candidates, len(self._subjects)))
            return self._score(subjects, vector), self._revision

    def compare(self, subject: str, vector: NDArray[np.float32]) -> tuple[Candidate, int]:
        """The claimed subject, scored by the best of its templates, and the revision.

        Raises:
            SubjectNotFound: It is not enrolled.
        """
        with self._reading():
            if subject not in self._subjects:
                raise subject_not_found(self.row.name, subject)
            return self._score([subject], _unit(vector))[0], self._revision

    def _nearest_subjects(self, vector: NDArray[np.float32], count: int) -> list[str]:
        """The `count` subjects of the nearest templates, however many templates one of them has."""
        fetch = min(count * _TEMPLATES_A_SUBJECT, len(self._owners))
        while True:
            ids, _ = self._index.search(vector[None], fetch)
            found = list(dict.fromkeys(self._owners[key] for key in ids[0].tolist()))
            if len(found) >= count or fetch == len(self._owners):
                return found[:count]
            fetch = min(4 * fetch, len(self._owners))

    def _score(self, subjects: list[str], vector: NDArray[np.float32]) -> tuple[Candidate, ...]:
        keys = np.array([key for name in subjects for key in self._subjects[name].templates], np.int64)
        keys, scores = best(keys, exact_scores(self._index.vectors(keys), vector), len(keys))
        found: dict[str, Candidate] = {}
        for key, score in zip(keys.tolist(), scores.tolist(), strict=True):
            name = self._owners[key]
            if name not in found:
                found[name] = Candidate(name, max(-1.0, min(1.0, score)), str(key))
        return tuple(found.values())

    @contextmanager
    def _reading(self) -> Iterator[None]:
        while self._revision != self._newest:
            self._load()
        with self._lock.reading():
            yield

    def _load(self) -> None:
        contents = self._store.contents(self.row)
        index = self._make_index(self.row.dimension)
        index.add(contents.ids, contents.vectors)
        subjects: dict[str, _Subject] = {}
        owners: dict[int, str] = {}
        rows = zip(contents.ids.tolist(), contents.subjects, contents.enrolled_at, strict=True)
        for key, name, enrolled_at in rows:
            subjects.setdefault(name, _Subject([], enrolled_at)).templates.append(key)
            owners[key] = name
        with self._lock.writing():
            self._index, self._subjects, self._owners = index, subjects, owners
            self._revision = contents.revision
            self._newest = max(self._newest, contents.revision)

    def _apply(
        self,
        change: Change,
        step: Callable[[Change, str, Sequence[Sample]], None],
        subject: str,
        samples: Sequence[Sample],
    ) -> None:
        """Follow a committed change; one that fails, and those after it, wait for the reload."""
        with self._lock.writing():
            self._newest = change.revision
            if self._revision != change.revision - 1:
                return
            try:
                step(change, subject, samples)
            except Exception:
                _LOG.exception("gallery falls behind at revision %d and will be reloaded", change.revision)
            else:
                self._revision = change.revision

    # The index goes first in both: it alone can fail, and then nothing has changed.

    def _add(self, change: Change, subject: str, samples: Sequence[Sample]) -> None:
        self._index.add(change.ids, np.stack([sample.vector for sample in samples]))
        keys = change.ids.tolist()
        self._subjects.setdefault(subject, _Subject([], change.at)).templates.extend(keys)
        self._owners.update(dict.fromkeys(keys, subject))

    def _remove(self, change: Change, subject: str, _: Sequence[Sample]) -> None:
        self._index.remove(change.ids)
        for key in self._subjects.pop(subject).templates:
            del self._owners[key]


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Norm 1 to float32 precision: a record allows 0.1 % off, which would bend the cosine."""
    wide = vector.astype(np.float64)
    return (wide / np.linalg.norm(wide)).astype(np.float32)
