"""How well a network tells apart people it never saw: rank-1 across sessions and views.

Protocol: gallery = the ``nm`` walks of session 0, probes = the walks of session 1, compared within
pairs of views; the mean over all pairs of different views, and over equal views. One number for each
condition. Full reports with intervals are the business of `gaitid.evaluation`; this is for the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.networks import Network
from gaitid.encoders.networks import embed as embed_walks
from gaitid.synthetic import CONDITIONS

from .corpus import Corpus, Recorded

Embed = Callable[[list[int]], NDArray[np.float32]]
_BATCH = 32


def embedder(network: Network, corpus: Corpus | Recorded) -> Embed:
    """Embeds walks of a corpus, given by number, with a network."""
    read = corpus.reader(network.architecture.modality)
    return lambda numbers: embed_walks(
        network, [read(i) for i in numbers], [corpus.times(i) for i in numbers]
    )


def in_batches(embed: Embed, numbers: Sequence[int]) -> NDArray[np.float32]:
    """(N, D) embeddings of walks, given by number, a few at a time."""
    return np.concatenate([embed(list(numbers[a : a + _BATCH])) for a in range(0, len(numbers), _BATCH)])


def measure_recorded(corpus: Recorded, embed: Embed) -> dict[str, float]:
    """``rank_1`` among watched people of a data set: each walk's nearest other recording is of its subject.

    Compared with all recordings of other names and, where views are known, of other views.
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
    """``cross_nm`` ... ``same_cl``: rank-1, 0..1.

    Args:
        corpus: Walks by the laboratory plan.
        embed: (N, D) unit embeddings of those numbers of the corpus.
        views: Views to compare, degrees.
    """
    chosen = [i for i, label in enumerate(corpus.labels) if label.view in views]
    vectors = in_batches(embed, chosen)
    labels = [corpus.labels[i] for i in chosen]
    subjects = np.array([label.subject for label in labels])
    gallery = np.array([label.session == "0" for label in labels])
    seen = np.array([label.view for label in labels])
    result = {}
    for condition in CONDITIONS:
        probe = np.array([label.condition == condition for label in labels]) & ~gallery
        same, cross = [], []
        for a in views:
            for b in views:
                rows, columns = probe & (seen == a), gallery & (seen == b)
                best = (vectors[rows] @ vectors[columns].T).argmax(1)
                right = float((subjects[columns][best] == subjects[rows]).mean())
                (same if a == b else cross).append(right)
        result[f"cross_{condition}"], result[f"same_{condition}"] = np.mean(cross), np.mean(same)
    return {name: round(float(value), 4) for name, value in result.items()}
