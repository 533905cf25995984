"""A gallery in memory at one revision: its index, and which subject owns which row of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.expiries import Expiries
from gaitid.gallery.index.protocol import Fetch, Index
from gaitid.gallery.index.reconciliation import Repair, fetch_from, reconcile
from gaitid.gallery.scoring.fusion import Pool
from gaitid.gallery.scoring.space import Space
from gaitid.gallery.store.database import Store
from gaitid.gallery.store.rows import Change, Contents, EnrolmentSample, GalleryRow
from gaitid.records import Fusion, Terms

MakeIndex = Callable[[int, Fetch], Index]
"""Returns an index for rows of a length, filled or not; it may fetch vectors again by id."""

_NO_TERMS = Terms()


@dataclass(slots=True)
class Subject:
    """A subject of a gallery.

    Attributes:
        templates: Ids of its templates, in the order of enrolment.
        enrolled_at: When it was first enrolled, Unix seconds.
        pseudonym: Its name in the audit trail, 16 bytes.
        terms: Terms under which it is enrolled.
        pool: Its templates, for fusions that need one row per subject.
    """

    templates: list[int]
    enrolled_at: float
    pseudonym: bytes
    terms: Terms = _NO_TERMS
    pool: Pool | None = None

    @property
    def rows(self) -> list[int]:
        """Ids of its rows in the index."""
        return self.templates if self.pool is None else self.templates[:1]


class State:
    """A gallery in memory; the caller locks it for changes.

    Args:
        store: Where the gallery is stored.
        row: The gallery.
        contents: What the store holds of it.
        make_index: Makes its index.

    Attributes:
        index: The index of templates, or of subjects when their templates are fused.
        subjects: All subjects by name, the expired included.
        owners: Name of the subject of each row of the index.
        expiries: When subjects expire.
        revision: Revision of the gallery.
        policy: How it decides.
        space: The space in which it compares.
        normalisation: How its scores are normalised; None = they are not.
        profiles: Whether it learns and uses camera profiles.
    """

    def __init__(self, store: Store, row: GalleryRow, contents: Contents, make_index: MakeIndex) -> None:
        self.row = row
        self._store = store
        self.revision = contents.revision
        self.policy, self.space = contents.policy, contents.space
        self.normalisation, self.profiles = contents.normalisation, contents.profiles
        self.subjects: dict[str, Subject] = {}
        self.owners: dict[int, str] = {}
        self.expiries = Expiries(contents.terms)
        self._list_subjects(contents)
        self.index = make_index(self.space.row_length, self.fetch)

    @property
    def is_fused(self) -> bool:
        """Whether the index has one row per subject."""
        return self.row.fusion is not Fusion.MAX

    def fill(self, *, thorough: bool = False) -> Repair:
        """Align the index with the store; return what was missing and left over in it.

        Args:
            thorough: Compare all vectors, not the ids alone.
        """
        ids = np.array(sorted(self.owners), np.int64)
        fetch: Fetch = self.fetch
        if self.is_fused:
            fetch = fetch_from(ids, self.space.rows(self._pooled([self._owner(key) for key in ids.tolist()])))
        # Fused rows change under their ids; rows of an index that was there may be of another projection or
        # of an older profile.
        by_vector = thorough or self.is_fused or bool(self.space.generation) or bool(self.space.profiles)
        return reconcile(self.index, ids, fetch, by_vector=by_vector)

    def fetch(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return which rows `ids` exist, ascending, exactly as the index was given them."""
        if self.is_fused:
            ids = np.unique(ids)
            vectors = self._pooled([self._owner(key) for key in ids.tolist()])
        else:
            ids, vectors = self._store.galleries.vectors(self.row, ids, self.space)
        return ids, self.space.rows(vectors)

    # The index is changed first: it alone can fail, and then a reload starts from the store.

    def add_samples(self, change: Change, name: str, samples: Sequence[EnrolmentSample]) -> None:
        """Add templates to an enrolled subject."""
        keys, subject = change.ids.tolist(), self.subjects[name]
        vectors = self._placed(samples)
        if subject.pool is None:
            self.index.add(change.ids, self.space.rows(vectors))
            self.owners.update(dict.fromkeys(keys, name))
        else:
            subject.pool.add(vectors)
            row = np.array(subject.rows, np.int64)
            self.index.remove(row)
            self.index.add(row, self.space.rows(self._pooled([subject])))
        subject.templates.extend(keys)

    def add_subjects(self, change: Change, subjects: Mapping[str, Sequence[EnrolmentSample]]) -> None:
        """Add new subjects, in place of expired ones whose names they have."""
        for name in change.expired:
            self.remove(name)
        ids = np.split(change.ids, np.cumsum([len(samples) for samples in subjects.values()])[:-1])
        fresh = [self._new_subject(change.at, pseudonym) for pseudonym in change.pseudonyms]
        for subject, keys, samples in zip(fresh, ids, subjects.values(), strict=True):
            subject.templates.extend(keys.tolist())
            if subject.pool is not None:
                subject.pool.add(self._placed(samples))
        if self.is_fused:
            rows = np.array([key for subject in fresh for key in subject.rows], np.int64)
            self.index.add(rows, self.space.rows(self._pooled(fresh)))
        else:
            vectors = self._placed([one for samples in subjects.values() for one in samples])
            self.index.add(change.ids, self.space.rows(vectors))
        self.subjects.update(zip(subjects, fresh, strict=True))
        self.owners.update((key, name) for name in subjects for key in self.subjects[name].rows)

    def remove(self, name: str) -> None:
        """Remove a subject."""
        rows = self.subjects[name].rows
        self.index.remove(np.array(rows, np.int64))
        del self.subjects[name]
        self.expiries.discard(name)
        for key in rows:
            del self.owners[key]

    def use(self, space: Space, ids: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        """Compare in another space, in which rows `ids` (M,) are `rows` (M, L) and all others stay."""
        known = np.array([key in self.owners for key in ids.tolist()], np.bool_)
        self.index.remove(ids[known])
        self.index.add(ids[known], rows[known])
        self.space = space

    def set_terms(self, name: str, terms: Terms) -> None:
        """Set the terms of a subject."""
        self.subjects[name].terms = terms
        self.expiries.set(name, terms)

    def _list_subjects(self, contents: Contents) -> None:
        rows = zip(
            contents.ids.tolist(),
            contents.subjects,
            contents.enrolled_at,
            contents.pseudonyms,
            strict=True,
        )
        for key, name, enrolled_at, pseudonym in rows:
            subject = self.subjects.get(name)
            if subject is None:
                terms = contents.terms.get(name, _NO_TERMS)
                subject = self.subjects[name] = self._new_subject(enrolled_at, pseudonym, terms)
            subject.templates.append(key)
        if self.is_fused:
            for name, vector in zip(contents.subjects, contents.vectors, strict=True):
                _pool(self.subjects[name]).add([vector])
        for name, subject in self.subjects.items():
            self.owners.update(dict.fromkeys(subject.rows, name))

    def _placed(self, samples: Sequence[EnrolmentSample]) -> NDArray[np.float32]:
        vectors = np.stack([sample.vector for sample in samples])
        return self.space.place_new(vectors, [sample.site for sample in samples])

    def _new_subject(self, enrolled_at: float, pseudonym: bytes, terms: Terms = _NO_TERMS) -> Subject:
        return Subject([], enrolled_at, pseudonym, terms, Pool(self.row.dimension) if self.is_fused else None)

    def _owner(self, key: int) -> Subject:
        return self.subjects[self.owners[key]]

    def _pooled(self, subjects: Sequence[Subject]) -> NDArray[np.float32]:
        rows = [_pool(subject).row(self.row.fusion) for subject in subjects]
        return np.array(rows, np.float32).reshape(-1, self.row.dimension)


def _pool(subject: Subject) -> Pool:
    if subject.pool is None:
        raise TypeError("a subject of fusion MAX has no pool")
    return subject.pool
