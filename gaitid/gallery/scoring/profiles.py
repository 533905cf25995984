"""Camera profiles: what a camera adds to every embedding is subtracted before embeddings are compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def corrected(
    vectors: NDArray[np.floating], means: NDArray[np.floating], parts: int = 1
) -> NDArray[np.float32]:
    """Subtract the mean of the camera, part by part; each part keeps its length.

    Args:
        vectors: (N, D) unit vectors.
        means: (N, D) or (D,), mean embedding of the camera of each vector.
        parts: Number P of equal blocks of an embedding.

    Returns:
        (N, D) float32 unit vectors.
    """
    blocks = np.asarray(vectors, np.float32).reshape(len(vectors), parts, -1)
    rest = blocks - np.asarray(means, np.float32).reshape(-1, parts, blocks.shape[2])
    lengths = np.linalg.norm(blocks, axis=2, keepdims=True)
    kept = (rest * (lengths / np.maximum(np.linalg.norm(rest, axis=2, keepdims=True), 1e-12))).reshape(
        len(vectors), -1
    )
    return np.asarray(kept / np.maximum(np.linalg.norm(kept, axis=1, keepdims=True), 1e-12), np.float32)
