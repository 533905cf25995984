"""Small labelled data for the evaluation tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from gaitid.datasets.protocol import Labels

Cohort = tuple[NDArray[np.float32], Labels]


@pytest.fixture(scope="session")
def cohort() -> Callable[..., Cohort]:
    """Make (embeddings (N, P, D), labels) of subjects that walk some named walks in some views."""

    def make(
        subjects: int = 6,
        walks: tuple[str, ...] = ("nm-01", "nm-02", "nm-05", "bg-01"),
        views: tuple[str, ...] = ("000", "090", "180"),
        *,
        noise: float = 1.0,
        shape: tuple[int, int] = (2, 8),
        seed: int = 0,
    ) -> Cohort:
        random = np.random.default_rng(seed)
        rows = [(f"{s:03d}", v, w.split("-")[0], w) for s in range(subjects) for w in walks for v in views]
        labels = Labels.of(*zip(*rows, strict=True))
        centres = random.standard_normal((subjects, *shape))
        subject = np.repeat(np.arange(subjects), len(walks) * len(views))
        drawn = centres[subject] + noise * random.standard_normal((len(rows), *shape))
        return drawn.astype(np.float32), labels

    return make
