"""What a segmenter does to a clean mask: rough edges, holes, lost feet, fragments, shadow, dirt.

The stage is cheap enough for a training loader: all frames of a walk are handled as one tall picture.
Strengths are set so that mask statistics match those of our own extractor on real video; the table is
in docs/synthetic.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]

_GAP = 4
"""Empty rows between frames in the tall picture: nothing leaks from one frame to the next."""


@dataclass(frozen=True, slots=True)
class Segmenter:
    """How badly one walk is segmented; lengths are shares of the body height.

    Attributes:
        blur: Smoothing of the outline.
        coarse: Amplitude of slow bulges and dents of the outline (mask units, 127 = half the edge).
        fine: Amplitude of the frame-to-frame roughness.
        bias: Threshold shift: positive thins the body, negative fattens it.
        hole: Depth of body-fixed patches that look like the background.
        hole_size: Size of those patches.
        feet: Share of frames whose feet are lost.
        shadow: Length of the shadow remnant at the feet, 0 for none.
        dirt: Share of frames with a speck beside the body.
        keep: Parts smaller than this share of the largest are dropped.
    """

    blur: float
    coarse: float
    fine: float
    bias: float
    hole: float
    hole_size: float
    feet: float
    shadow: float
    dirt: float
    keep: float


def draw_segmenter(rng: np.random.Generator, level: float = 1.0) -> Segmenter:
    """The quality of one walk's masks; `level` 0 is clean, 1 like our extractor on real video."""
    return Segmenter(
        blur=float(rng.uniform(0.006, 0.010 + 0.010 * level)),
        coarse=float(level * rng.uniform(10, 55)),
        fine=float(level * rng.uniform(5, 30)),
        bias=float(level * rng.normal(-5, 22)),
        hole=float(level * rng.uniform(150, 420)) if rng.random() < 0.4 * level else 0.0,
        hole_size=float(rng.uniform(0.5, 1.5)),
        feet=float(rng.uniform(0.1, 0.7)) if rng.random() < 0.3 * level else 0.0,
        shadow=float(rng.uniform(0.05, 0.25)) if rng.random() < 0.25 * level else 0.0,
        dirt=float(rng.uniform(0, 0.2) * level),
        keep=float(rng.uniform(0.02, 0.15)),
    )


def degrade(masks: Bytes, rng: np.random.Generator, segmenter: Segmenter) -> Bytes:
    """Masks as a real segmenter would give them.

    Args:
        masks: (T, H, W) uint8, 0 or 1, of one body each.
        rng: Source of chance; the same state gives the same masks.
        segmenter: How badly; see `draw_segmenter`.

    Returns:
        (T, H, W) uint8, 0 or 1; a frame may be empty.
    """
    frames, height, width = masks.shape
    rows = masks.any(2)
    filled = rows.any(1)
    top = np.where(filled, rows.argmax(1), 0)
    bottom = np.where(filled, height - rows[:, ::-1].argmax(1), height)
    tall = float(np.median(bottom - top))
    stack = np.zeros((frames, height + _GAP, width), np.uint8)
    np.multiply(masks, np.uint8(255), out=stack[:, :height])
    columns = np.array(
        [np.flatnonzero(m.any(0))[[0, -1]] if f else (0, width) for m, f in zip(masks, filled, strict=True)]
    )
    middle = columns.mean(1)
    soft = stack.reshape(-1, width)
    sigma = max(0.5, segmenter.blur * tall)
    soft = cv2.GaussianBlur(soft, (0, 0), sigma)
    field = _field(frames, height + _GAP, width, rng, segmenter)
    field += _wounds(frames, height + _GAP, width, top, middle, tall, rng, segmenter)
    for change in (_lost_feet, _shadow, _dirt):
        change(field, top, bottom, columns, tall, rng, segmenter)
    noisy = cv2.add(soft, field.reshape(-1, width), dtype=cv2.CV_16S)
    out = (noisy > 127 + segmenter.bias).view(np.uint8)
    out = cv2.medianBlur(out, 3)
    out.reshape(frames, height + _GAP, width)[:, height:] = 0
    return _main_parts(out, frames, segmenter.keep)[:, :height]


@lru_cache(maxsize=1)
def _bank() -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Fixed noise to cut from: fine (8, 160, 160), one pixel; coarse (512, 24, 24), slow in time too."""
    rng = np.random.Generator(np.random.Philox(20261122))
    fine = rng.normal(size=(8, 160, 160))
    coarse = rng.normal(size=(512, 24, 24))
    for _ in range(2):
        coarse = (np.roll(coarse, 1, 0) + 2 * coarse + np.roll(coarse, -1, 0)) / 4
    coarse /= coarse.std()
    return tuple(np.rint(40 * noise).clip(-127, 127).astype(np.int8) for noise in (fine, coarse))


def _field(
    frames: int, height: int, width: int, rng: np.random.Generator, how: Segmenter
) -> NDArray[np.int16]:
    """(T, H, W) slow and fast noise, added to the blurred mask."""
    fine, coarse = _bank()
    start, y, x = rng.integers(0, 512), *rng.integers(0, 12, 2)
    slow = coarse[(start + np.arange(frames)) % 512, y : y + 12, x : x + 9].astype(np.float32)
    slow *= how.coarse / 40
    out = np.empty((frames, height, width), np.int16)
    grain = np.rint(fine * np.float32(how.fine / 40)).astype(np.int16)
    cut = (
        rng.integers(0, 8, frames),
        rng.integers(0, max(1, 160 - height), frames),
        rng.integers(0, max(1, 160 - width), frames),
    )
    for t, (k, r, c) in enumerate(zip(*(v.tolist() for v in cut), strict=True)):
        out[t] = cv2.resize(slow[t], (width, height), interpolation=cv2.INTER_LINEAR)
        piece = grain[k, r : r + height, c : c + width]
        out[t, : piece.shape[0], : piece.shape[1]] += piece
    return out


def _wounds(
    frames: int, height: int, width: int, top: NDArray[np.intp], middle: Floats, tall: float,
    rng: np.random.Generator, how: Segmenter,
) -> NDArray[np.int16]:  # fmt: skip
    """Patches of the clothes that look like the background: they travel with the body and flicker."""
    out = np.zeros((frames, height, width), np.int16)
    if how.hole <= 0:
        return out
    size = max(8, int(tall * 1.3))
    cells = max(4, int(round(12 / how.hole_size)))
    patch = cv2.resize(
        rng.standard_normal((cells, cells)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC
    )
    patch = np.minimum(0, -(np.abs(patch) - 1.1)) * how.hole
    flicker = _bank()[1][(rng.integers(0, 512) + np.arange(frames)) % 512, 3, 3] / 40
    for t in range(frames):
        if flicker[t] < -0.3:
            continue
        y, x = int(top[t] - 0.15 * tall), int(middle[t]) - size // 2
        _add(out[t], patch * min(1.0, 0.3 + flicker[t] / 2), y, x)
    return out


def _add(target: NDArray[np.int16], patch: NDArray[np.float32], y: int, x: int) -> None:
    """Add a patch with its corner at (y, x), cut at the borders."""
    y0, x0 = max(y, 0), max(x, 0)
    y1, x1 = min(y + patch.shape[0], target.shape[0]), min(x + patch.shape[1], target.shape[1])
    if y1 > y0 and x1 > x0:
        target[y0:y1, x0:x1] += patch[y0 - y : y1 - y, x0 - x : x1 - x].astype(np.int16)


def _flicker(frames: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(T,) True in runs that last a few frames, about `share` of the time."""
    wave = _bank()[1][(rng.integers(0, 512) + np.arange(frames)) % 512, 7, 7] / 40
    return np.asarray(wave > np.quantile(_bank()[1][:, 7, 7] / 40, 1 - share))


def _lost_feet(field: NDArray[np.int16], top, bottom, columns, tall, rng, how) -> None:  # type: ignore[no-untyped-def]
    if how.feet <= 0:
        return
    depth = rng.uniform(0.02, 0.09)
    for t in np.flatnonzero(_flicker(len(field), how.feet, rng)):
        cut = int(bottom[t] - tall * depth * rng.uniform(0.5, 1.3))
        field[t, max(cut, 0) :] -= 300


def _shadow(field: NDArray[np.int16], top, bottom, columns, tall, rng, how) -> None:  # type: ignore[no-untyped-def]
    if how.shadow <= 0:
        return
    side, thick = rng.choice([-1, 1]), max(1, int(tall * rng.uniform(0.01, 0.03)))
    reach = int(how.shadow * tall)
    for t in range(len(field)):
        y = int(bottom[t]) - thick
        a = int(columns[t][0]) if side > 0 else int(columns[t][0]) - reach
        b = int(columns[t][1]) + reach if side > 0 else int(columns[t][1])
        field[t, max(y, 0) : y + 2 * thick, max(a, 0) : max(b, 0)] += 90


def _dirt(field: NDArray[np.int16], top, bottom, columns, tall, rng, how) -> None:  # type: ignore[no-untyped-def]
    for t in np.flatnonzero(_flicker(len(field), max(how.dirt, 1e-3), rng)):
        y = int(rng.uniform(top[t], bottom[t]))
        x = int(rng.choice([columns[t][0] - 0.04 * tall, columns[t][1] + 0.02 * tall]))
        size = max(1, int(tall * rng.uniform(0.01, 0.04)))
        field[t, max(y, 0) : y + size, max(x, 0) : max(x + size, 0)] += 200


def _main_parts(tall: Bytes, frames: int, keep: float) -> Bytes:
    """(T, H, W): parts with fewer pixels than `keep` times the largest of their frame are dropped."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(tall, connectivity=8, ltype=cv2.CV_32S)
    if count > 2:
        height = len(tall) // frames
        frame = stats[:, cv2.CC_STAT_TOP] // height
        area = stats[:, cv2.CC_STAT_AREA].copy()
        area[0] = 0
        largest = np.zeros(frames + 1)
        np.maximum.at(largest, frame, area)
        kept = (area >= keep * largest[frame]).astype(np.uint8)
        kept[0] = 0
        tall = kept[labels]
    return tall.reshape(frames, -1, tall.shape[1])
