"""A secret rotation of a gallery's vectors, which preserves all angles and so all scores.

Templates under different keys are unlinkable, so a gallery can renew its templates without recording its
subjects again. The rotation is **reversible**: anyone with the key can undo it, and D known pairs of a
vector and its image reveal the matrix (a linear system). It protects vectors outside this process, such as
the rows of a search engine; encryption protects those on disk (`keys`).

A key is 32 bytes. The matrix is drawn from it uniformly among all orthogonal ones (Haar): the QR
decomposition of a normal matrix with corrected signs (Mezzadri 2007, arXiv math-ph/0609050). The normal
numbers come from SHAKE-256 by Box and Muller, so the matrix does not depend on the release of numpy.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

KEY_BYTES = 32


class Projection:
    """An orthogonal map of D dimensions.

    Args:
        key: `KEY_BYTES` secret bytes.
        dimension: D.
    """

    def __init__(self, key: bytes, dimension: int) -> None:
        self._matrix = _orthogonal(key, dimension)

    def apply(self, vectors: Vectors) -> Vectors:
        """Rotate vectors (N, D) float32 to their images (N, D) float32."""
        return np.asarray(vectors.astype(np.float64) @ self._matrix, np.float32)

    def undo(self, vectors: Vectors) -> Vectors:
        """Rotate images (N, D) float32 back to the vectors (N, D) float32."""
        return np.asarray(vectors.astype(np.float64) @ self._matrix.T, np.float32)


def _orthogonal(key: bytes, dimension: int) -> NDArray[np.float64]:
    upper, signs = np.linalg.qr(_normal(key, dimension * dimension).reshape(dimension, dimension))
    matrix: NDArray[np.float64] = upper * np.sign(np.diag(signs))
    return matrix


def _normal(key: bytes, count: int) -> NDArray[np.float64]:
    """(count,) standard normal numbers."""
    pairs = (count + 1) // 2
    words = np.frombuffer(hashlib.shake_256(b"gaitid projection 1" + key).digest(16 * pairs), "<u8")
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53  # above 0 and below 1
    radius, angle = np.sqrt(-2 * np.log(uniform[:pairs])), 2 * np.pi * uniform[pairs:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
