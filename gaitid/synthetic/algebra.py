"""Vectorised algebra over frames: rotations and autocorrelated noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def turns(yaw: Floats, pitch: Floats, roll: Floats) -> Floats:
    """(..., 3, 3) = Rz(yaw) Ry(pitch) Rx(roll), angles (...) in degrees."""
    angles = np.deg2rad(np.stack([yaw, pitch, roll]))
    (a, b, c), (d, e, f) = np.cos(angles), np.sin(angles)
    out = np.empty((*a.shape, 3, 3))
    out[..., 0, 0], out[..., 0, 1], out[..., 0, 2] = a * b, a * e * f - d * c, a * e * c + d * f
    out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = d * b, d * e * f + a * c, d * e * c - a * f
    out[..., 2, 0], out[..., 2, 1], out[..., 2, 2] = -e, b * f, b * c
    return out


def between(source: Floats, target: Floats) -> Floats:
    """(N, 3, 3) smallest rotations from directions (N, 3) to others, which must not be opposite."""
    u = source / np.sqrt((source**2).sum(-1, keepdims=True))
    v = target / np.sqrt((target**2).sum(-1, keepdims=True))
    x = u[:, 1] * v[:, 2] - u[:, 2] * v[:, 1]
    y = u[:, 2] * v[:, 0] - u[:, 0] * v[:, 2]
    z = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    cross = np.zeros((len(u), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = z, -y, x
    cosine = (u * v).sum(-1)[:, None, None]
    return np.asarray(np.eye(3) + cross + cross @ cross / (1 + cosine))


def follow(noise: Floats, keep: float) -> Floats:
    """First-order autoregression of unit noise (T, ...) over time, with unit variance."""
    lag = np.arange(len(noise))[:, None] - np.arange(len(noise))
    filter_ = np.where(lag >= 0, keep ** np.maximum(lag, 0), 0.0)
    filter_[:, 1:] *= np.sqrt(1 - keep**2)
    return np.asarray((filter_ @ noise.reshape(len(noise), -1)).reshape(noise.shape))
