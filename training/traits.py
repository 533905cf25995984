"""Traits of synthetic subjects: the parameters they are made of, as targets for a network to predict.

A class label only says that two subjects differ; traits say how. A network therefore learns from each walk
what distinguishes a long trunk or a stiff knee, and needs fewer subjects and steps. Only the trainer knows
the traits; a shipped network contains none of them. The idea is learning using privileged information
(Vapnik and Vashist 2009); the choice of traits is our own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gaitid.synthetic.population import SyntheticSubject, subject_of

BODY = 12
"""Principal components of the body at rest, relative to its height, because alignment hides size."""
HARMONICS = 2
"""Free-form harmonics of each joint curve; higher ones are below the noise of outlines."""
_WEIGHTS = (1.0, 0.3, 3.0)
"""Weights of a style parameter, a harmonic and a body component; they say how visible each is."""
_FITTED_ON = 1000
"""Subjects from which the principal components are computed."""
_CLIP = 3
"""Largest standardised trait, in standard deviations."""

Traits = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Traits and their weights; see `trait_table`."""


def trait_table(subjects: Sequence[str]) -> Traits:
    """Standardised traits of synthetic subjects.

    Args:
        subjects: Names from a `Population`; at least two.

    Returns:
        traits: (C, K) float32, each column with mean 0 and standard deviation 1 over the subjects.
        weights: (K,) float32, weight of each trait, with mean 1.

    Raises:
        InputError: A name is not that of a synthetic subject.
    """
    people = [subject_of(subject) for subject in subjects]
    groups = [
        np.stack([one.style.values for one in people]),
        np.stack([_harmonics(one) for one in people]),
        _components(np.stack([_shape(one) for one in people])),
    ]
    weights = np.concatenate([np.full(g.shape[1], w) for g, w in zip(groups, _WEIGHTS, strict=True)])
    traits = np.concatenate(groups, axis=1)
    spread = np.maximum(traits.std(axis=0), 1e-9)
    standard = ((traits - traits.mean(axis=0)) / spread).clip(-_CLIP, _CLIP)
    return standard.astype(np.float32), (weights / weights.mean()).astype(np.float32)


def _harmonics(subject: SyntheticSubject) -> NDArray[np.float64]:
    curves = subject.style.common[:, :HARMONICS].ravel()
    return np.concatenate([curves.real, curves.imag])


def _shape(subject: SyntheticSubject) -> NDArray[np.float64]:
    """(3 V,) vertices at rest in body heights, with the feet at 0."""
    vertices = subject.figure.vertices / subject.figure.height
    return np.asarray((vertices - [0, 0, vertices[:, 2].min()]).ravel())


def _components(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, BODY) scores of the principal components of (C, 3 V) rows."""
    centred = rows - rows.mean(axis=0)
    _, _, axes = np.linalg.svd(centred[:_FITTED_ON], full_matrices=False)
    return np.asarray(centred @ axes[:BODY].T)
