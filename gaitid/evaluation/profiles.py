"""Camera profiles in evaluation: the view stands for the camera, and other subjects supply the means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.base import TRAIN, Dataset
from gaitid.encoders.base import Encoder, parts_of
from gaitid.errors import InputError
from gaitid.evaluation.embedding import Embedded, embed
from gaitid.evaluation.scores import Floats
from gaitid.gallery.scoring.profiles import corrected

Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class CameraProfiles:
    """Means of the cameras of a data set, from walks of subjects that are not tested.

    Attributes:
        means: Mean embedding (D,) by view; a view stands for a camera.
        subjects: Names of the subjects whose walks were used; which walk is whose was not.
        walks: Number of walks.
        parts: See `parts_of`.
    """

    means: Mapping[str, Floats]
    subjects: tuple[str, ...]
    walks: int
    parts: int

    def correct(self, embedded: Embedded) -> Floats:
        """Correct the vectors of embedded sequences; see `corrected_by_view`."""
        return corrected_by_view(embedded.vectors, embedded.labels.view, self.means, self.parts)


def learned(
    dataset: Dataset,
    encoder: Encoder,
    count: int,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CameraProfiles:
    """Learn camera profiles from all walks of `count` subjects of a data set's train part.

    Args:
        dataset: An open data set.
        encoder: Any encoder.
        count: Number of subjects to draw.
        seed: Seed of the draw.
        progress: Called with (sequences done, total sequences).

    Raises:
        InputError: The train part has fewer subjects, or the data set has no views.
        DatasetError: None of their walks could be embedded.
    """
    entries = dataset.entries(TRAIN)
    names = np.unique([one.subject for one in entries])
    if not 0 < count <= len(names):
        raise InputError(
            f"Camera profiles of {count} subjects are wanted",
            f"1 to {len(names)}, the subjects in the train part of {dataset.name}",
            "Pass another --camera-profiles, or another --partition",
        )
    if not any(one.view for one in entries):
        raise InputError(
            f"Data set {dataset.name} has no views",
            "views, which stand for cameras",
            "Leave out --camera-profiles",
        )
    chosen = drawn(names, count, seed)
    found = embed(dataset, encoder, part=TRAIN, subjects=set(chosen.tolist()), progress=progress)
    means = view_means(found.vectors, found.labels.view)
    subjects = tuple(sorted(map(str, chosen)))
    return CameraProfiles(means, subjects, len(found.vectors), parts_of(encoder))


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
