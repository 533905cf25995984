"""Validation of a network on subjects it was not trained on: rank-1 across sessions and views.

The result is one number per condition for the log of a run. Full reports with confidence intervals are made
by `gaitid.evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.networks import Network
from gaitid.encoders.networks import embed as embed_walks
from gaitid.synthetic import CONDITIONS

from .corpus import AnyCorpus, Corpus, DatasetCorpus

VALIDATION_VIEWS = (0.0, 36.0, 90.0, 126.0)
"""Degrees; four of the eleven views of the laboratory plan."""
MEASURES = ("cross_nm", "cross_bg", "cross_cl", "same_nm", "same_bg", "same_cl", "rank_1")
"""Names of all results; the last one is of data sets, the others are of synthetic subjects."""
_BATCH = 32

Embed = Callable[[list[int]], NDArray[np.float32]]
"""Gives (N, D) unit embeddings of N sequences of a corpus, selected by number."""


def embedder(network: Network, corpus: AnyCorpus) -> Embed:
    """Bind a network to a corpus, so that its sequences can be embedded by number."""
    modality = network.architecture.modality
    return lambda numbers: embed_walks(
        network, [corpus.stream(i, modality) for i in numbers], [corpus.times(i) for i in numbers]
    )


def in_batches(embed: Embed, numbers: Sequence[int]) -> NDArray[np.float32]:
    """(N, D) embeddings of the sequences with these numbers, computed in small batches."""
    return np.concatenate([embed(list(numbers[a : a + _BATCH])) for a in range(0, len(numbers), _BATCH)])


def validate(corpus: AnyCorpus, embed: Embed) -> dict[str, float]:
    """Rank-1 on the validation subjects, 0..1, by name in `MEASURES`."""
    if isinstance(corpus, DatasetCorpus):
        return measure_recorded(corpus, embed)
    return measure(corpus, embed, VALIDATION_VIEWS)


def measure_recorded(corpus: DatasetCorpus, embed: Embed) -> dict[str, float]:
    """``rank_1`` of a data set's sequences, 0..1: the nearest other recording is of the same subject.

    A sequence is compared with all recordings of other names and, where views are known, of other views.
    """
    vectors = in_batches(embed, range(len(corpus)))
    subjects = np.array([label.subject for label in corpus.labels])
    walks = np.array([f"{label.subject}/{label.session}" for label in corpus.labels])
    views = np.array([label.view for label in corpus.labels])
    scores = vectors @ vectors.T
    scores[(walks[:, None] == walks) | ((views[:, None] == views) & (views >= 0))] = -np.inf
    mated = (np.isfinite(scores) & (subjects[:, None] == subjects)).any(1)
    right = subjects[scores.argmax(1)] == subjects
    return {"rank_1": round(float(right[mated].mean()), 4) if mated.any() else 0.0}


def measure(corpus: Corpus, embed: Embed, views: Sequence[float]) -> dict[str, float]:
    """Rank-1 by the laboratory protocol, 0..1: ``cross_nm`` ... ``same_cl``.

    The gallery is the ``nm`` walks of session 0, the probes are the walks of session 1. They are compared
    within pairs of views; the results are means over all pairs of different views and over equal views.

    Args:
        corpus: Walks recorded by the laboratory plan.
        embed: Embeds sequences of `corpus`.
        views: Views to compare, degrees.
    """
    chosen = [i for i, label in enumerate(corpus.labels) if label.view in views]
    vectors = in_batches(embed, chosen)
    labels = [corpus.labels[i] for i in chosen]
    subjects = np.array([label.subject for label in labels])
    gallery = np.array([label.session == "0" for label in labels])
    seen = np.array([label.view for label in labels])
    result: dict[str, float] = {}
    for condition in CONDITIONS:
        probe = np.array([label.condition == condition for label in labels]) & ~gallery
        same: list[float] = []
        cross: list[float] = []
        for a in views:
            for b in views:
                rows, columns = probe & (seen == a), gallery & (seen == b)
                best = (vectors[rows] @ vectors[columns].T).argmax(1)
                right = float((subjects[columns][best] == subjects[rows]).mean())
                (same if a == b else cross).append(right)
        result[f"cross_{condition}"], result[f"same_{condition}"] = (
            float(np.mean(cross)),
            float(np.mean(same)),
        )
    return {name: round(value, 4) for name, value in result.items()}
