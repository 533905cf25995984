"""Scores of probes against a gallery, in blocks of bounded memory.

A higher score means more alike. ``cos`` is the mean cosine over parts, -1..1. It equals the inner product of
the part-normalised, concatenated vectors divided by the number of parts, so a block is one matrix product.
``euc`` is minus the mean L2 distance over parts, the default of the published gait evaluators (Fan et al.
2023, OpenGait, `opengait/evaluation/metric.py`).

Memory beyond the embeddings: one normalised copy of the gallery, and about 8 bytes per score of the current
block of `BLOCK_SCORES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gaitid.datasets.protocol import Exclude, Labels
from gaitid.errors import InputError

Metric = Literal["cos", "euc"]
METRICS: tuple[Metric, ...] = ("cos", "euc")
Floats = NDArray[np.float32]
Rows = NDArray[np.intp]

BLOCK_SCORES = 4_000_000
"""Scores in a block: 16 MB of float32, which with its masks almost fits a server's last-level cache."""


def check_embeddings(embeddings: NDArray[Any], rows: int | None = None) -> Floats:
    """Check embeddings and return them as (N, P, D) float32.

    Args:
        embeddings: (N, P, D) or (N, D) floats.
        rows: The expected N; None = any.

    Raises:
        InputError: Wrong shape, dtype or length, or a row with NaN, infinity or only zeros.
    """
    if not isinstance(embeddings, np.ndarray) or embeddings.ndim not in (2, 3) or 0 in embeddings.shape[1:]:
        raise InputError(
            f"Argument embeddings is {getattr(embeddings, 'shape', type(embeddings).__name__)}",
            "an array (N, parts, D) or (N, D)",
            "Stack the embeddings, parts before dimensions",
        )
    if embeddings.dtype.kind != "f":
        raise InputError(
            f"Argument embeddings is {embeddings.dtype.name}", "floats", "Convert the array to float32"
        )
    if rows is not None and len(embeddings) != rows:
        raise InputError(
            f"There are {len(embeddings)} embeddings and {rows} labels",
            "one label for each embedding",
            "Pass labels and embeddings of the same sequences",
        )
    parts: Floats = (embeddings if embeddings.ndim == 3 else embeddings[:, None, :]).astype(
        np.float32, copy=False
    )
    power = np.einsum("npd,npd->n", parts, parts)
    for bad, what in ((~np.isfinite(power), "NaN or infinity"), (power == 0, "zeros only")):
        if bad.any():
            raise InputError(
                f"Embedding {int(np.argmax(bad))} has {what} (so do {int(bad.sum())} of {len(parts)} rows)",
                "finite vectors that are not zero",
                "Find out why the encoder failed on those sequences",
            )
    return parts


class Scorer:
    """Scores any probes against one gallery.

    Args:
        gallery: (G, P, D) float32 as `check_embeddings` returns it.
        metric: ``cos`` or ``euc``.
    """

    def __init__(self, gallery: Floats, metric: Metric) -> None:
        if metric not in METRICS:
            raise InputError(
                f"Argument metric is {metric!r}", f"one of {', '.join(METRICS)}", "Pass metric='cos'"
            )
        self.metric = metric
        self.parts = gallery.shape[1]
        if metric == "cos":
            self._gallery = _directions(gallery)
        else:
            self._gallery = np.ascontiguousarray(gallery.transpose(1, 2, 0))  # (P, D, G)
            self._power = np.einsum("pdg,pdg->pg", self._gallery, self._gallery)

    def __call__(self, probes: Floats) -> Floats:
        """Score probes (B, P, D): (B, G) float32."""
        if self.metric == "cos":
            return _directions(probes) @ self._gallery.T
        total = np.zeros((len(probes), self._gallery.shape[2]), np.float32)
        for part in range(self.parts):
            rows = np.ascontiguousarray(probes[:, part])
            squares = (-2.0 * rows) @ self._gallery[part]
            squares += self._power[part]
            squares += np.einsum("bd,bd->b", rows, rows)[:, None]
            np.maximum(squares, 0.0, out=squares)
            total -= np.sqrt(squares, out=squares)
        total /= self.parts
        return total


@dataclass(frozen=True, slots=True)
class Block:
    """Some probes against the whole gallery.

    Attributes:
        probes: (B,) rows of the probes among all sequences.
        scores: (B, G) float32; -inf where the protocol does not compare.
        mates: (B, G) bool, True where both are of one subject and the protocol compares them.
    """

    probes: Rows
    scores: Floats
    mates: NDArray[np.bool_]

    def part(self, chosen: NDArray[np.bool_]) -> Block:
        """Restrict the block to the chosen probes."""
        return Block(self.probes[chosen], self.scores[chosen], self.mates[chosen])


def blocks(
    embeddings: Floats,
    labels: Labels,
    *,
    probes: Rows,
    gallery: Rows,
    metric: Metric,
    exclude: Exclude,
) -> Iterator[Block]:
    """Score the probes against the gallery, block by block.

    Args:
        embeddings: (N, P, D) float32 as `check_embeddings` returns it.
        labels: Labels of the N sequences.
        probes: Rows of the probes.
        gallery: Rows of the gallery; the columns of every block, in this order.
        metric: See `Scorer`.
        exclude: See `Protocol.exclude`. A sequence is never compared with itself.
    """
    scorer = Scorer(embeddings[gallery], metric)
    subjects = np.unique(labels.subject, return_inverse=True)[1].astype(np.int32)
    views = np.unique(labels.view, return_inverse=True)[1].astype(np.int32)
    hidden = labels.subject == ""
    columns = np.full(len(labels), -1, np.intp)
    columns[gallery] = np.arange(len(gallery))
    step = max(1, BLOCK_SCORES // max(1, len(gallery)))
    for start in range(0, len(probes), step):
        rows = probes[start : start + step]
        scores = scorer(embeddings[rows])
        mates = (subjects[rows, None] == subjects[gallery]) & ~hidden[rows, None]
        if exclude != "nothing":
            same = views[rows, None] == views[gallery]
            np.copyto(scores, -np.inf, where=same if exclude == "view" else same & mates)
        own = np.flatnonzero(columns[rows] >= 0)
        scores[own, columns[rows[own]]] = -np.inf
        mates &= scores > -np.inf
        yield Block(rows, scores, mates)


def _directions(parts: Floats) -> Floats:
    """Normalise (N, P, D) to (N, P * D), each part a unit vector over sqrt(P); zero parts stay zero."""
    norms = np.sqrt(np.einsum("npd,npd->np", parts, parts))
    scale = 1.0 / (np.maximum(norms, 1e-12) * np.sqrt(parts.shape[1]))
    scaled: Floats = parts * scale[:, :, None].astype(np.float32)
    return scaled.reshape(len(parts), -1)
