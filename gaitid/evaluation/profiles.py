"""Camera profiles in evaluation: the view stands for the camera, and other subjects supply the means."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.base import Encoder
from gaitid.evaluation.scores import Floats
from gaitid.gallery.scoring.profiles import corrected

Names = NDArray[np.str_]


def parts_of(encoder: Encoder) -> int:
    """Number of equal blocks of an embedding that a camera profile corrects one by one."""
    return int(getattr(encoder, "parts", 1) if not callable(getattr(encoder, "parts", 1)) else 1)


def view_means(vectors: Floats, views: Names) -> dict[str, Floats]:
    """Mean embedding (D,) by view of vectors (N, D); subjects need not be known."""
    return {str(view): vectors[views == view].mean(0) for view in np.unique(views)}


def corrected_by_view(vectors: Floats, views: Names, means: Mapping[str, Floats], parts: int = 1) -> Floats:
    """Correct vectors (N, D) by the mean of their view; a view without a mean leaves them unchanged.

    Args:
        vectors: (N, D) unit vectors.
        views: (N,) their views.
        means: Mean embedding (D,) by view.
        parts: See `parts_of`.

    Returns:
        (N, D) float32 unit vectors.
    """
    nothing = np.zeros(vectors.shape[1], np.float32)
    return corrected(vectors, np.stack([means.get(str(view), nothing) for view in views]), parts)


def drawn(subjects: Names, count: int, draw: int) -> Names:
    """Draw `count` of the distinct names in `subjects`; all of them if there are not more."""
    names = np.unique(subjects)
    return np.asarray(np.random.default_rng(draw).choice(names, min(count, len(names)), replace=False))
