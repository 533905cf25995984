"""What makes the synthetic people who they are, as numbers a network can be asked to tell.

A class label says only that two people differ; these numbers say how, so a network learns from each walk
what distinguishes a long trunk or a stiff knee, and needs fewer people and steps for it. Only the trainer
knows them: nothing of this is in a shipped network. The idea is learning with privileged information
(Vapnik and Vashist 2009); the choice of numbers is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gaitid.synthetic.population import SyntheticSubject, subject_of

BODY = 12
"""Principal components of the body at rest, as shares of its height: alignment hides size."""
HARMONICS = 2
"""Free-form harmonics of each joint curve; higher ones drown in the outline's noise."""
_WEIGHTS = (1.0, 0.3, 3.0)
"""Of a style parameter, a harmonic, a body component: parts that say most of what can be seen."""
_FITTED_ON = 1000

Traits = tuple[NDArray[np.float32], NDArray[np.float32]]
"""What `trait_table` gives."""


def trait_table(subjects: Sequence[str]) -> Traits:
    """Numbers of synthetic people.

    Args:
        subjects: Names that a `Population` gave; at least two.

    Returns:
        traits: (C, K) float32, each column of mean 0 and deviation 1 over the people.
        weights: (K,) float32, how much each should count; their mean is 1.

    Raises:
        InputError: A name is not of a synthetic person.
    """
    people = [subject_of(subject) for subject in subjects]
    groups = [
        np.stack([one.style.values for one in people]),
        np.stack([_harmonics(one) for one in people]),
        _components(np.stack([_outline(one) for one in people])),
    ]
    weights = np.concatenate([np.full(g.shape[1], w) for g, w in zip(groups, _WEIGHTS, strict=True)])
    traits = np.concatenate(groups, axis=1)
    spread = np.maximum(traits.std(axis=0), 1e-9)
    standard = ((traits - traits.mean(axis=0)) / spread).clip(-3, 3)
    return standard.astype(np.float32), (weights / weights.mean()).astype(np.float32)


def _harmonics(person: SyntheticSubject) -> NDArray[np.float64]:
    curves = person.style.common[:, :HARMONICS].ravel()
    return np.concatenate([curves.real, curves.imag])


def _outline(person: SyntheticSubject) -> NDArray[np.float64]:
    """(3 V,) vertices at rest in body heights, feet at 0."""
    vertices = person.figure.vertices / person.figure.height
    return np.asarray((vertices - [0, 0, vertices[:, 2].min()]).ravel())


def _components(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, BODY) scores of the principal components of (C, 3 V) rows."""
    centred = rows - rows.mean(axis=0)
    _, _, axes = np.linalg.svd(centred[:_FITTED_ON], full_matrices=False)
    return np.asarray(centred @ axes[:BODY].T)
