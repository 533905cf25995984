"""Simulated pose estimator: jitter, confidence, swapped sides and misses on true keypoints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gaitid.synthetic.algebra import follow

Floats = NDArray[np.float64]

_SIGMA = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
"""Spread of human annotators per joint over the object scale. Source: COCO keypoint evaluation."""
_PAIRS = np.array([(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)])
_SEGMENTS = np.array([(5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16), (0, 0)])
_RADII = np.array([0.05, 0.04, 0.05, 0.04, 0.08, 0.055, 0.08, 0.055, 0.10])


def visible(pixels: Floats, depth: Floats, scale: Floats) -> Floats:
    """Visibility of each joint: 0 hidden by the body itself, 1 visible.

    Args:
        pixels: (T, 17, 2).
        depth: (T, 17) metres.
        scale: (T,) pixels per metre at the body.

    Returns:
        (T, 17) float64, 0..1.
    """
    shoulder, hip = pixels[:, 5:7].mean(1), pixels[:, 11:13].mean(1)
    trunk_depth = depth[:, [5, 6, 11, 12]].mean(1)
    starts = np.concatenate([pixels[:, _SEGMENTS[:, 0]], shoulder[:, None]], 1)
    ends = np.concatenate([pixels[:, _SEGMENTS[:, 1]], hip[:, None]], 1)
    near = np.concatenate([depth[:, _SEGMENTS].mean(2), trunk_depth[:, None]], 1)
    radii = np.append(_RADII, 0.13)
    line = ends - starts
    offset = pixels[:, :, None] - starts[:, None]
    along = (offset * line[:, None]).sum(-1) / np.maximum((line**2).sum(-1), 1e-6)[:, None]
    gap = np.linalg.norm(offset - along.clip(0, 1)[..., None] * line[:, None], axis=-1)
    behind = depth[:, :, None] - near[:, None] - radii * 0.8
    inside = 1 - gap / (radii * scale[:, None, None])
    hidden = np.where(behind > 0, inside.clip(0, 1), 0)
    return np.asarray(1 - np.minimum(1, 2 * hidden.max(2)))


def detect(
    pixels: Floats, seen: Floats, height_px: Floats, rng: np.random.Generator, level: float = 1.0
) -> NDArray[np.float32]:
    """Keypoints as a pose estimator reports them.

    Args:
        pixels: (T, 17, 2) true pixels.
        seen: (T, 17) visibility; see `visible`.
        height_px: (T,) body heights; less than 20 pixels count as 20.
        rng: Random generator.
        level: Strength of the errors: 0 gives the truth, 1 a light estimator on real video.

    Returns:
        (T, 17, 3) x, y, confidence; a missed joint is all zeros.
    """
    frames = len(pixels)
    height_px = np.maximum(height_px, 20.0)
    skill = level * rng.uniform(0.5, 1.6)
    scale = height_px * 0.40  # square root of the area of a walker's box
    small = 1 + 20 / height_px
    hidden = 1 - seen
    sigma = skill * _SIGMA * (scale * small)[:, None] * (0.22 + 0.9 * hidden)
    error = sigma[..., None] * _wander(rng, (frames, 17, 2), 0.75)
    bias = rng.standard_normal((1, 17, 2))  # from view and clothes, constant within a walk
    error += sigma[..., None] * 0.35 * bias
    wild = rng.random((frames, 17)) < level * (0.002 + 0.03 * hidden)
    error[wild] += (
        rng.standard_normal((int(wild.sum()), 2)) * 0.08 * np.repeat(height_px[:, None], 17, 1)[wild][:, None]
    )
    out = pixels + error
    for start, length, pairs in _swaps(pixels, height_px, rng, level):
        rows = slice(start, start + length)
        out[rows, pairs] = out[rows, pairs[:, ::-1]]
    doubt = (np.linalg.norm(error, axis=2) / (0.5 * _SIGMA * scale[:, None])).clip(0, 4)
    logit = (
        2.6
        - level * (0.7 * doubt + 2.0 * hidden + 0.6 * (small[:, None] - 1))
        + level * 0.5 * _wander(rng, (frames, 17), 0.8)
    )
    confidence = 1 / (1 + np.exp(-logit)) if level > 0 else np.ones((frames, 17))
    missed = (rng.random((frames, 17)) < level * (0.003 + 0.10 * hidden**2)) | (confidence < 0.08)
    result = np.concatenate([out, confidence[..., None]], 2)
    result[missed] = 0
    return result.astype(np.float32)


def _wander(rng: np.random.Generator, shape: tuple[int, ...], keep: float) -> Floats:
    """Unit Gaussian noise, autocorrelated over time."""
    return follow(rng.standard_normal(shape), keep)


def _swaps(
    pixels: Floats, height_px: Floats, rng: np.random.Generator, level: float
) -> list[tuple[int, int, NDArray[np.intp]]]:
    """Runs of frames in which left and right are swapped, mostly where they overlap: start, length, pairs."""
    found = []
    for pairs in (_PAIRS[5:], _PAIRS[2:5]):
        left, right = pixels[:, pairs[:, 0]], pixels[:, pairs[:, 1]]
        apart = np.linalg.norm(left - right, axis=2).mean(1) / height_px
        chance = level * (0.001 + 0.03 * np.exp(-apart / 0.03))
        for start in np.flatnonzero(rng.random(len(pixels)) < chance):
            found.append((int(start), int(rng.geometric(0.35)), pairs))
    return found
