"""Comparisons of many probes with all subjects of a gallery."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gaitid.gallery.scoring.fusion import rows_of
from gaitid.records import Fusion

_BLOCK = 64
"""Probes compared at once."""


def grouped(
    vectors: NDArray[np.float32], subjects: Sequence[str], fusion: Fusion
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Group the index rows by subject.

    Returns:
        rows: (R, D) float32, subject by subject.
        starts: (S,) position of each subject's first row.
        owners: (M,) position of each template's subject.
    """
    _, owners = np.unique(np.array(subjects, dtype=np.str_), return_inverse=True)
    order = np.argsort(owners, kind="stable")
    edges = np.flatnonzero(np.diff(owners[order])) + 1
    groups = [rows_of(group, fusion) for group in np.split(vectors[order], edges) if len(group)]
    starts = np.cumsum([0, *(len(group) for group in groups)])[:-1]
    return np.concatenate([vectors[:0], *groups]), starts, owners


def subject_scores(
    probes: NDArray[np.float32],
    starts: NDArray[np.intp],
    score: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Score (P, S) of each probe with each subject.

    Args:
        probes: (P, D) float32.
        starts: (S,) position of each subject's first row.
        score: Returns the scores (K, R) of K probes with all rows.
    """
    scores = np.empty((len(probes), len(starts)), np.float32)
    for at in range(0, len(probes), _BLOCK):
        scores[at : at + _BLOCK] = np.maximum.reduceat(score(probes[at : at + _BLOCK]), starts, axis=1)
    return scores
