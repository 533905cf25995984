"""What goes into the store and comes out of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.scoring.policy import Policy
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


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """All templates of a gallery, by ascending id.

    Attributes:
        ids: (N,) int64.
        subjects: N subject names.
        enrolled_at: When each of those subjects was first enrolled, Unix seconds.
        pseudonyms: What those subjects are called in the audit trail, 16 bytes each.
        vectors: (N, D) float32, placed in `space`.
        terms: Of the subjects that have other than `Terms()`, by name.
        revision: State of the gallery that this is.
        policy: How it decides.
        space: Where it compares.
        normalisation: How its scores are normalised; None = they are not.
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


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What becomes a template: its vector (D,) float32, quality (None = unknown) and origin."""

    vector: NDArray[np.float32]
    quality: Quality | None
    origin: Origin


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A committed change.

    Attributes:
        ids: (M,) int64 of the templates it added or removed.
        revision: The gallery's, after it.
        at: Unix seconds.
        pseudonyms: What its subjects are called in the audit trail, one by one.
        traces: Pieces of the bytes it erased.
    """

    ids: NDArray[np.int64]
    revision: int
    at: float
    pseudonyms: tuple[bytes, ...] = ()
    traces: tuple[bytes, ...] = ()

    def joined(self, before: Change) -> Change:
        """This erasure together with one `before` it."""
        ids = np.concatenate((before.ids, self.ids))
        return replace(self, ids=ids, traces=before.traces + self.traces)


def quality_of(text: str) -> Quality:
    """The quality of a stored text."""
    fields = json.loads(text)
    return Quality(**{**fields, "reasons": tuple(map(Reason, fields.get("reasons", ())))})


def terms_of(row: Sequence[Any]) -> Terms:
    """The terms of legal_basis, purpose, reference, expires_at, legal_hold as stored."""
    legal_basis, purpose, reference, expires_at, legal_hold = row
    return Terms(legal_basis, purpose, reference, expires_at, bool(legal_hold))
