"""What goes into the store and comes out of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.scoring.policy import Policy
from gaitid.gallery.scoring.profiles import Site
from gaitid.gallery.scoring.space import Space
from gaitid.records import Fusion, Normalisation, Origin, Quality, Reason, Terms


@dataclass(frozen=True, slots=True)
class GalleryRow:
    """A gallery as it was created; `key` is never used again, even for a gallery of the same name."""

    key: int
    name: str
    encoder: str
    contract: str
    dimension: int
    fusion: Fusion
    created_at: float
    parts: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """All templates of a gallery, by ascending id, those of expired subjects included.

    Attributes:
        ids: (N,) int64.
        subjects: N subject names.
        enrolled_at: When each of those subjects was first enrolled, Unix seconds.
        pseudonyms: Names of those subjects in the audit trail, 16 bytes each.
        vectors: (N, D) float32, placed in `space`.
        terms: Terms by subject name, without the subjects whose terms are `Terms()`.
        revision: Revision of the gallery.
        policy: How it decides.
        space: The space in which it compares.
        normalisation: How its scores are normalised; None = they are not.
        profiles: Whether it learns and uses camera profiles.
    """

    ids: NDArray[np.int64]
    subjects: list[str]
    enrolled_at: list[float]
    pseudonyms: list[bytes]
    vectors: NDArray[np.float32]
    terms: dict[str, Terms]
    revision: int
    policy: Policy
    space: Space
    normalisation: Normalisation | None
    profiles: bool


@dataclass(frozen=True, slots=True, eq=False)
class EnrolmentSample:
    """What becomes a template: its vector (D,) float32, quality (None = unknown), origin and direction."""

    vector: NDArray[np.float32]
    quality: Quality | None
    origin: Origin
    direction: str = ""

    @property
    def site(self) -> Site:
        """Where it was recorded."""
        return Site(self.origin.camera, self.direction)


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A committed change of a gallery.

    Attributes:
        ids: (M,) int64 ids of the templates it added or removed.
        revision: Revision of the gallery after it.
        at: When it was made, Unix seconds.
        pseudonyms: Names of its subjects in the audit trail, in order.
        traces: Pieces of the bytes it erased.
        expired: Names of expired subjects that it erased first, because their names were enrolled again.
    """

    ids: NDArray[np.int64]
    revision: int
    at: float
    pseudonyms: tuple[bytes, ...] = ()
    traces: tuple[bytes, ...] = ()
    expired: tuple[str, ...] = ()

    def joined(self, before: Change) -> Change:
        """Return this erasure together with the one `before` it."""
        ids = np.concatenate((before.ids, self.ids))
        return replace(self, ids=ids, traces=before.traces + self.traces)


class TermsColumns(Protocol):
    """A row of a query that has the terms of a subject."""

    @property
    def legal_basis(self) -> str:
        """See `Terms`."""

    @property
    def purpose(self) -> str:
        """See `Terms`."""

    @property
    def reference(self) -> str:
        """See `Terms`."""

    @property
    def expires_at(self) -> float | None:
        """See `Terms`."""

    @property
    def legal_hold(self) -> int:
        """See `Terms`; 0 or 1."""


def no_templates() -> NDArray[np.int64]:
    """Return the ids (0,) of a change that adds and removes no template."""
    return np.empty(0, np.int64)


def quality_of(text: str) -> Quality:
    """Parse a stored quality."""
    fields = json.loads(text)
    return Quality(**{**fields, "reasons": tuple(map(Reason, fields.get("reasons", ())))})


def terms_of(row: TermsColumns) -> Terms:
    """Return the terms in a row of subjects."""
    return Terms(row.legal_basis, row.purpose, row.reference, row.expires_at, bool(row.legal_hold))
