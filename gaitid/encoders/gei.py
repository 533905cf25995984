"""Gait Energy Image: the mean silhouette of a walk, compared part by part.

Source: Han & Bhanu, "Individual Recognition Using Gait Energy Image", IEEE TPAMI 28(2), 2006,
sec. 2.2: the mean of the aligned silhouettes of a walk. Deviations: a second channel with the
standard deviation of each pixel over time (for binary pixels a function of the mean, close to the
gait entropy image of Bashir, Xiang & Gong 2010); eight horizontal parts, each centred and
normalised by itself, so that a bag or a cut-off foot spoils one part and not the whole; no
learned projection. Our own code, numpy only, no weights.

The embedding does not depend on the order of the frames or on their times, nor on frame
duplication of the whole sequence; it does depend on view, clothing and carried objects.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.base import PREPROCESSING, check_input, contract_id
from gaitid.errors import SequenceError
from gaitid.records import SILHOUETTE, Embedding, GaitSequence

HEIGHT, WIDTH = 64, 44
PARTS = 8
CELL = 2


class GEI:
    """The `Encoder` that needs nothing but numpy; see the module for the method."""

    name = "gei"
    modalities: tuple[str, ...] = (SILHOUETTE,)
    min_frames = 10
    dimension = 2 * (HEIGHT // CELL) * (WIDTH // CELL)
    contract = contract_id(
        architecture=f"gei/1 parts={PARTS} cell={CELL}",
        weights="none",
        preprocessing=PREPROCESSING,
        dimension=dimension,
    )
    threshold = 0.9

    def __call__(self, sequence: GaitSequence) -> Embedding:
        """Embed one sequence; see `Encoder`."""
        check_input(self, sequence)
        silhouettes = sequence.streams[SILHOUETTE]
        if silhouettes.shape[1:] != (HEIGHT, WIDTH):
            raise SequenceError(
                f"silhouettes are {silhouettes.shape[1]}x{silhouettes.shape[2]}",
                f"encoder {self.name} needs {HEIGHT}x{WIDTH}",
                "align the masks to that size",
            )
        return Embedding(embed(silhouettes), self.contract)

    def batch(self, sequences: Sequence[GaitSequence]) -> list[Embedding]:
        """Embed each sequence; equal to calling each."""
        return [self(sequence) for sequence in sequences]


def embed(silhouettes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The (D,) float32 unit vector of (T, 64, 44) uint8 0/1 silhouettes."""
    energy = silhouettes.mean(axis=0, dtype=np.float64)
    channels = np.stack([energy, np.sqrt(energy * (1.0 - energy))])  # (C, H, W)
    cells = channels.reshape(2, HEIGHT // CELL, CELL, WIDTH // CELL, CELL).mean(axis=(2, 4))
    parts = cells.reshape(2 * PARTS, -1)  # (C * P, cells)
    parts = parts - parts.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(parts, axis=1, keepdims=True)
    unit = np.where(norms > 1e-6, parts / np.maximum(norms, 1e-6), 0.0)
    vector = unit.ravel()
    length = float(np.linalg.norm(vector))
    if length < 1e-6:
        raise SequenceError(
            "silhouettes are empty or all alike in every pixel", "a walking body", "check the extractor"
        )
    return (vector / length).astype(np.float32)
