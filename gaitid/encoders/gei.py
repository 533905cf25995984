"""Gait Energy Image: the mean silhouette of a walk, compared part by part.

Source: Han & Bhanu, "Individual Recognition Using Gait Energy Image", IEEE TPAMI 28(2), 2006,
sec. 2.2: the mean of the aligned silhouettes of a walk. Deviations: a second channel holds the
standard deviation of each pixel over time, which shows where the body moves (for binary pixels a
function of the mean; compare the gait entropy image of Bashir, Xiang & Gong 2010); an upright body
that everybody shares (`_everybody`) is subtracted from the mean, so that impostors do not all score above
0.9; each of four horizontal parts of each channel is centred and normalised separately, so the inner product
is the mean correlation of parts. Our own code, numpy only, no weights.

The embedding does not depend on the order or the times of the frames. It does depend on view, clothing and
carried objects: it is the baseline that other encoders must beat.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.base import PREPROCESSING, check_frames, check_input, contract_id
from gaitid.errors import SequenceError
from gaitid.records import SILHOUETTE, Embedding, GaitSequence

HEIGHT, WIDTH = 64, 44
PARTS = 4
CELL = 2
"""Side of the cells in which pixels are averaged."""

_OUTLINE = (
    *((0.0, 0.02), (0.02, 0.05), (0.07, 0.065), (0.12, 0.06), (0.15, 0.05), (0.18, 0.10), (0.25, 0.13)),
    *((0.35, 0.135), (0.47, 0.13), (0.65, 0.12), (0.80, 0.13), (0.92, 0.15), (1.0, 0.14)),
)
"""(height from the crown, half width), both as shares of body height."""


class GEI:
    """The `Encoder` without a network; see the module for the method."""

    name = "gei"
    modalities: tuple[str, ...] = (SILHOUETTE,)
    min_frames = 10
    dimension = 2 * (HEIGHT // CELL) * (WIDTH // CELL)
    contract = contract_id(
        architecture=f"gei/1 mean-outline, deviation; parts={PARTS} cell={CELL}",
        weights="none",
        preprocessing=PREPROCESSING,
        dimension=dimension,
    )
    # Provisional until calibrated: about 1 % of the pairs of different tracks of a street video exceed it
    # (0.7 % of 1,980 pairs, 45 tracks of people 65-110 px tall in mixed views, half-tracks of 10 to 80 frames
    # at 10 fps). But 6 to 13 % of synthetic impostors seen from the same view exceed it (1 % at 0.90).
    threshold = 0.85

    def __call__(self, sequence: GaitSequence) -> Embedding:
        """Embed one sequence; see `Encoder`."""
        return Embedding(embed(self._silhouettes(sequence)), self.contract)

    def batch(self, sequences: Sequence[GaitSequence]) -> list[Embedding]:
        """Embed several sequences; equal to embedding each."""
        return [self(sequence) for sequence in sequences]

    def part_vectors(self, sequences: Sequence[GaitSequence]) -> NDArray[np.float32]:
        """See `PartEncoder`: (N, 8, 176), the four parts of both channels, mean removed."""
        return np.stack([_parts(self._silhouettes(one)) for one in sequences]).astype(np.float32)

    def _silhouettes(self, sequence: GaitSequence) -> NDArray[np.uint8]:
        check_input(self, sequence)
        silhouettes = sequence.streams[SILHOUETTE]
        check_frames(self.name, SILHOUETTE, silhouettes)
        return silhouettes


def embed(silhouettes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Embed (T, 64, 44) uint8 0/1 silhouettes as a (D,) float32 unit vector.

    Raises:
        SequenceError: All pixels of the mean silhouette are equal.
    """
    parts = _parts(silhouettes)
    norms = np.linalg.norm(parts, axis=1, keepdims=True)
    unit = parts / np.where(norms > 1e-9, norms, np.inf)  # a part without structure is zero
    vector = unit.ravel()
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def _parts(silhouettes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(C * P, cells of a part): both channels in horizontal parts, with the mean of each part removed."""
    energy = silhouettes.mean(axis=0, dtype=np.float64)
    if np.ptp(energy) == 0.0:
        raise SequenceError(
            f"All pixels of the mean silhouette are {energy[0, 0]:g}",
            "a body",
            "Check the extractor's output",
        )
    channels = np.stack([energy - _everybody(), np.sqrt(energy * (1.0 - energy))])  # (C, H, W)
    cells = channels.reshape(2, HEIGHT // CELL, CELL, WIDTH // CELL, CELL).mean(axis=(2, 4))
    parts = cells.reshape(2 * PARTS, -1)  # (C * P, cells of a part)
    return np.asarray(parts - parts.mean(axis=1, keepdims=True))


def _everybody() -> NDArray[np.float64]:
    """(64, 44) mean silhouette of an upright walker, drawn from body proportions with soft edges.

    Half widths by height from the crown: head, neck, shoulders, arms and hips, legs. Edges are softer towards
    the feet, which move most. Not fitted to any data.
    """
    down = (np.arange(HEIGHT) + 0.5)[:, None] / HEIGHT
    across = (np.arange(WIDTH) - (WIDTH - 1) / 2)[None] / HEIGHT
    heights, half_widths = zip(*_OUTLINE, strict=True)
    half_width = np.interp(down, heights, half_widths)
    softness = np.interp(down, [0.0, 0.5, 1.0], [0.025, 0.035, 0.07])
    return np.asarray(1.0 / (1.0 + np.exp((np.abs(across) - half_width) / softness)))
