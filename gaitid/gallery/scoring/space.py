"""Where a gallery compares: rows of an index and probes such that the best score is the largest product.

Without projection and normalisation a row is a template and a probe an embedding. Either changes the
vectors and not the search, so every index is exact for all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.index.ranking import exact_scores
from gaitid.gallery.scoring.normalisation import Normaliser
from gaitid.gallery.scoring.projection import Projection

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class PlacedProbe:
    """An embedding, ready to be compared.

    Attributes:
        vector: What an index is searched with.
        normaliser: Makes scores of products with rows; None = they are the scores.
        offset: What it needs to know of the probe.
    """

    vector: Vectors
    normaliser: Normaliser | None = None
    offset: float = 0.0

    def scores(self, rows: Vectors) -> NDArray[np.float64]:
        """Scores (N,) float64 with rows of the index."""
        products = exact_scores(rows, self.vector)
        return products if self.normaliser is None else self.normaliser.scores(products, self.offset)


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """The space of a gallery.

    Attributes:
        dimension: Length of an embedding.
        generation: Number of its projection; 0 = it has none.
        projection: Its secret rotation; None = none.
        normaliser: How scores are normalised, of a cohort under that rotation; None = they are not.
    """

    dimension: int
    generation: int = 0
    projection: Projection | None = None
    normaliser: Normaliser | None = None

    @property
    def row_length(self) -> int:
        """Numbers of a row of the index."""
        return self.dimension if self.normaliser is None else self.normaliser.row_length(self.dimension)

    def place(self, vectors: Vectors) -> Vectors:
        """The vectors (N, D) float32, turned as the stored templates are."""
        return vectors if self.projection is None else self.projection.apply(vectors)

    def rows(self, placed: Vectors) -> Vectors:
        """Rows of the index (N, `row_length`) for placed vectors (N, D)."""
        return placed if self.normaliser is None else self.normaliser.rows(placed)

    def probe(self, placed: Vectors) -> PlacedProbe:
        """What to search with for a placed vector (D,)."""
        if self.normaliser is None:
            return PlacedProbe(placed)
        vectors, offsets = self.normaliser.probes(placed[None])
        return PlacedProbe(vectors[0], self.normaliser, float(offsets[0]))
