"""The space a gallery compares in: index rows and probes whose largest inner product is the best score.

Without profiles, projection and normalisation a row is a template and a probe an embedding. All of them
change the vectors but not the search, so an exact index stays exact with any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index.ranking import exact_scores
from gaitid.gallery.scoring.normalisation import Normaliser
from gaitid.gallery.scoring.profiles import Profiles, Site
from gaitid.gallery.scoring.projection import Projection

Vectors = NDArray[np.float32]

_NO_PROFILES = Profiles()


@dataclass(frozen=True, slots=True, eq=False)
class PlacedProbe:
    """An embedding placed in the space of a gallery.

    Attributes:
        vector: Query vector for the index.
        normaliser: Turns inner products into scores; None = they are the scores.
        offset: The probe's own term in its normalised scores.
    """

    vector: Vectors
    normaliser: Normaliser | None = None
    offset: float = 0.0

    def scores(self, rows: Vectors) -> NDArray[np.float64]:
        """Scores (N,) float64 against rows of the index."""
        products = exact_scores(rows, self.vector)
        return products if self.normaliser is None else self.normaliser.scores(products, self.offset)


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """The space of a gallery.

    Attributes:
        dimension: Length of an embedding.
        generation: Number of its projection; 0 = no projection.
        projection: Its secret rotation; None = no projection.
        normaliser: Score normalisation by a cohort under that rotation; None = plain scores.
        profiles: Camera profiles by which vectors are corrected before they are rotated.
    """

    dimension: int
    generation: int = 0
    projection: Projection | None = None
    normaliser: Normaliser | None = None
    profiles: Profiles = _NO_PROFILES

    @property
    def row_length(self) -> int:
        """Length of an index row."""
        return self.dimension if self.normaliser is None else self.normaliser.row_length(self.dimension)

    def place(self, vectors: Vectors, sites: Sequence[Site]) -> Vectors:
        """Correct vectors (N, D) float32 from `sites`, and rotate them like the stored templates."""
        return self.rotate(self.profiles.correct(vectors, sites))

    def place_stored(self, stored: Vectors, sites: Sequence[Site]) -> Vectors:
        """Place templates (N, D) float32 from `sites` that are rotated already, as the store holds them."""
        if not self.profiles:
            return stored
        plain = stored if self.projection is None else self.projection.undo(stored)
        return self.place(plain, sites)

    def place_new(self, vectors: Vectors, sites: Sequence[Site]) -> Vectors:
        """Place new templates (N, D) float32 from `sites`: bit for bit as later from the store."""
        return self.place_stored(self.rotate(vectors), sites)

    def rotate(self, vectors: Vectors) -> Vectors:
        """Rotate vectors (N, D) float32 as the store does."""
        return vectors if self.projection is None else self.projection.apply(vectors)

    def rows(self, placed: Vectors) -> Vectors:
        """Index rows (N, `row_length`) of placed vectors (N, D)."""
        return placed if self.normaliser is None else self.normaliser.rows(placed)

    def probe(self, placed: Vectors) -> PlacedProbe:
        """Probe for a placed vector (D,)."""
        if self.normaliser is None:
            return PlacedProbe(placed)
        vectors, offsets = self.normaliser.probes(placed[None])
        return PlacedProbe(vectors[0], self.normaliser, float(offsets[0]))
