"""Simulated segmenter: rough edges, holes, lost feet, fragments, shadow and dirt on clean masks.

Raw foreground is disturbed and then cleaned with a median, a closing and an opening, as extractors do.
Strengths are set so that mask statistics match those of our own extractor on real video (table in
docs/synthetic.md). All frames of a walk are processed side by side as one wide picture, which is fast enough
for a training loader.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.synthetic.frames import Extent

Bytes = NDArray[np.uint8]
Shorts = NDArray[np.int16]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_GAP = 6
"""Empty columns between frames, so that filters do not mix frames."""
_FINE = 1 << 21
"""Length of the bank of fine noise, pixels."""
_SLOW = 512
"""Length of the bank of coarse noise, frames."""


@dataclass(frozen=True, slots=True)
class Segmenter:
    """Segmentation errors of one walk. An amplitude of 127 moves the outline by about half its blur.

    Attributes:
        blur: Softness of the outline, as a share of the body height.
        coarse: Amplitude of slow bulges and dents of the outline.
        fine: Amplitude of the pixel noise.
        bias: Shift of the outline: positive thins the body, negative fattens it.
        hole: Depth of patches on the body that look like the background.
        hole_size: Size of those patches as a share of the body height.
        feet: Share of frames whose feet are lost.
        shadow: Length of the rest of a shadow at the feet as a share of the body height, 0 for none.
        dirt: Share of frames with a speck beside the body.
        median: Size of the median filter, 1, 3 or 5 pixels.
        close: Size (height, width) of the closing in pixels; 1 is none.
        open: Height of the opening in pixels; 1 is none.
        keep: Parts smaller than this share of the area of the body are removed.
        lost: Share of frames, in short runs, whose head or legs are lost.
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
    median: int
    close: tuple[int, int]
    open: int
    keep: float
    lost: float = 0.0


def draw_segmenter(rng: np.random.Generator, level: float = 1.0) -> Segmenter:
    """Draw the segmentation errors of one walk; `level` 0 is clean, 1 like our extractor on real video."""
    kind = rng.choice(3, p=(0.6, 0.2, 0.2))  # background subtraction, little cleaning, smooth network
    return Segmenter(
        blur=float(rng.uniform(0.006, 0.010 + 0.012 * level)),
        coarse=float(level * rng.uniform(10, 60)),
        fine=float(level * rng.uniform(5, (60, 30, 6)[kind])),
        bias=float(level * np.clip(rng.normal(-35, 28), -95, 50)),
        hole=float(level * rng.uniform(120, 380)) if rng.random() < 0.25 * level else 0.0,
        hole_size=float(rng.uniform(0.08, 0.25)),
        feet=float(rng.uniform(0.05, 0.5)) if rng.random() < 0.3 * level else 0.0,
        shadow=float(rng.uniform(0.05, 0.25)) if rng.random() < 0.12 * level else 0.0,
        dirt=float(rng.uniform(0, 0.15) * level),
        median=int((5, 3, 3)[kind]),
        close=((5, 3), (1, 1), (3, 3))[kind],
        open=int((5, 1, 1)[kind]),
        keep=float(rng.uniform(0.02, 0.15)),
    )


def degrade(
    masks: Bytes, rng: np.random.Generator, segmenter: Segmenter, extent: Extent | None = None
) -> Bytes:
    """Add segmentation errors to clean masks.

    Args:
        masks: (T, H, W) uint8, 0 or 1, of one body each.
        rng: Random generator; the same state gives the same masks.
        segmenter: The errors; see `draw_segmenter`.
        extent: Extent of the masks if it is already known.

    Returns:
        (T, H, W) uint8, 0 or 1; a frame may be empty.
    """
    frames, height, width = masks.shape
    strip = np.zeros((height, frames, width + _GAP), np.uint8)
    np.multiply(masks.transpose(1, 0, 2), np.uint8(255), out=strip[:, :, :width])
    body = _BodyExtent(masks, extent or Extent.of(masks))
    soft = cv2.GaussianBlur(strip.reshape(height, -1), (0, 0), max(0.5, segmenter.blur * body.tall))
    soft = soft.reshape(strip.shape).astype(np.int16)
    # Noise moves the outline but leaves the background clean; specks there come from `dirt` and `shadow`.
    field = np.minimum(_field(frames, height, width + _GAP, rng, segmenter), 4 * soft)
    for change in (_holes, _lost_feet, _lost_parts, _shadow, _dirt):
        change(field, body, rng, segmenter)
    field += soft
    raw = (field > 127 + segmenter.bias).view(np.uint8)
    raw[:, :, width:] = 0
    parts = _main_parts(_clean(raw.reshape(height, -1), segmenter), segmenter.keep * body.area)
    return parts.reshape(height, frames, -1)[:, :, :width].transpose(1, 0, 2)


class _BodyExtent:
    """Extent of the body, its median height and its mean area."""

    def __init__(self, masks: Bytes, extent: Extent) -> None:
        self.top, self.bottom, self.left, self.right = extent.top, extent.bottom, extent.left, extent.right
        self.tall = float(np.median(extent.bottom - extent.top))
        self.area = float(np.count_nonzero(masks)) / max(1, int(extent.filled.sum()))


@lru_cache(maxsize=1)
def _bank() -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Fixed unit noise times 40: fine, and coarse (512 frames, 14, 14) that changes slowly in time."""
    rng = np.random.Generator(np.random.Philox(20261122))
    fine = rng.standard_normal(_FINE, np.float32)
    coarse = rng.standard_normal((_SLOW, 14, 14))
    for _ in range(2):
        coarse = (np.roll(coarse, 1, 0) + 2 * coarse + np.roll(coarse, -1, 0)) / 4
    coarse = coarse / coarse.std()
    first, second = (np.rint(40 * noise).clip(-127, 127).astype(np.int8) for noise in (fine, coarse))
    return first, second


@lru_cache(maxsize=1)
def _ranks() -> Ints:
    """(512,) rank of each frame in one column of the coarse bank."""
    return np.asarray(np.argsort(np.argsort(_bank()[1][:, 5, 5], kind="stable"), kind="stable"))


def _slow(frames: int, rng: np.random.Generator) -> Ints:
    """Frames of the coarse bank for one walk."""
    return np.asarray((rng.integers(_SLOW) + np.arange(frames)) % _SLOW)


def _field(frames: int, height: int, width: int, rng: np.random.Generator, how: Segmenter) -> Shorts:
    """(H, T, W) slow and fast noise."""
    fine, coarse = _bank()
    y, x = rng.integers(0, 4, 2)
    bulges = coarse[_slow(frames, rng), y : y + 11, x : x + 8].transpose(1, 0, 2).reshape(11, -1)
    scaled = bulges.astype(np.float32) * np.float32(how.coarse / 40)
    size = height * frames * width
    start = int(rng.integers(_FINE))
    grain = np.resize(fine[start:], size) if size > _FINE - start else fine[start : start + size]
    slow = np.asarray(cv2.resize(scaled, (frames * width, height), interpolation=cv2.INTER_LINEAR))
    out = np.multiply(grain.reshape(slow.shape), np.float32(how.fine / 40), dtype=np.float32)
    out += slow
    return out.astype(np.int16).reshape(height, frames, width)


def _flicker(frames: int, share: float, rng: np.random.Generator) -> Ints:
    """Frames in short runs, about `share` of all."""
    rank = _ranks()[_slow(frames, rng)]
    return np.flatnonzero(rank >= _SLOW * (1 - share))


def _patch(
    field: Shorts,
    frame: int,
    top: float,
    left: float,
    change: NDArray[np.float32] | float,
    size: tuple[int, int],
) -> None:
    """Add `change` to a rectangle of one frame, clipped at the borders."""
    y, x = int(top), int(left)
    y0, x0, y1, x1 = max(y, 0), max(x, 0), min(y + size[0], field.shape[0]), min(x + size[1], field.shape[2])
    if y1 > y0 and x1 > x0:
        part = change if isinstance(change, float) else change[y0 - y : y1 - y, x0 - x : x1 - x]
        field[y0:y1, frame, x0:x1] += np.asarray(part, np.int16)


def _holes(field: Shorts, body: _BodyExtent, rng: np.random.Generator, how: Segmenter) -> None:
    if how.hole <= 0:
        return
    side = max(8, int(1.2 * body.tall))
    cells = max(3, round(1.2 / how.hole_size))
    spots = rng.standard_normal((cells, cells), np.float32)
    depth = np.minimum(1.0 - np.abs(cv2.resize(spots, (side, side), interpolation=cv2.INTER_CUBIC)), 0)
    wave = _bank()[1][_slow(field.shape[1], rng), 3, 3] / 40
    middle = (body.left + body.right) / 2
    patch = depth * np.float32(how.hole)
    for t in np.flatnonzero(wave > -0.4):
        strength = np.float32(min(1.0, 0.5 + 0.5 * wave[t]))
        _patch(field, int(t), body.top[t] - 0.1 * side, middle[t] - side / 2, patch * strength, (side, side))


def _lost_feet(field: Shorts, body: _BodyExtent, rng: np.random.Generator, how: Segmenter) -> None:
    if how.feet <= 0:
        return
    depth = rng.uniform(0.02, 0.08)
    for t in _flicker(field.shape[1], how.feet, rng):
        cut = body.bottom[t] - body.tall * depth * rng.uniform(0.5, 1.4)
        _patch(field, int(t), cut, 0, -400.0, (field.shape[0], field.shape[2]))


def _lost_parts(field: Shorts, body: _BodyExtent, rng: np.random.Generator, how: Segmenter) -> None:
    if how.lost <= 0:
        return
    head, depth = rng.random() < 0.7, rng.uniform(0.05, 0.16)
    for t in _flicker(field.shape[1], how.lost, rng):
        lost = body.tall * depth * rng.uniform(0.6, 1.4)
        cut = body.top[t] + lost - field.shape[0] if head else body.bottom[t] - 1.5 * lost
        _patch(field, int(t), cut, 0, -400.0, (field.shape[0], field.shape[2]))


def _shadow(field: Shorts, body: _BodyExtent, rng: np.random.Generator, how: Segmenter) -> None:
    """The rest of a shadow: thick at the feet, thin and uncertain at its far end, flickering."""
    if how.shadow <= 0:
        return
    to_right, thick = rng.random() < 0.5, max(1, int(body.tall * rng.uniform(0.015, 0.04)))
    reach = int(how.shadow * body.tall)
    wave = _bank()[1][_slow(field.shape[1], rng), 7, 7] / 40
    rows = 1 - np.abs(np.arange(2 * thick) + 0.5 - thick) / thick
    for t in range(field.shape[1]):
        wide = int(body.right[t] - body.left[t]) + reach
        fades = np.linspace(1, -1, max(wide, 1))[:: 1 if to_right else -1]
        left = body.left[t] - (0 if to_right else reach)
        patch = (110 + 40 * wave[t] + 90 * fades + 120 * (rows[:, None] - 0.5)).clip(0)
        _patch(field, t, body.bottom[t] - thick, left, patch.astype(np.float32), (2 * thick, wide))


def _dirt(field: Shorts, body: _BodyExtent, rng: np.random.Generator, how: Segmenter) -> None:
    for t in _flicker(field.shape[1], max(how.dirt, 1e-3), rng):
        side = max(2, int(body.tall * rng.uniform(0.02, 0.06)))
        left = body.left[t] - 0.7 * side if rng.random() < 0.5 else body.right[t] - 0.3 * side
        _patch(field, int(t), rng.uniform(body.top[t], body.bottom[t]), left, 250.0, (side, side))


def _clean(raw: Bytes, how: Segmenter) -> Bytes:
    """Clean raw foreground as extractors do."""
    if how.median > 1:
        raw = np.asarray(cv2.medianBlur(raw, how.median), np.uint8)
    if max(how.close) > 1:
        raw = np.asarray(cv2.morphologyEx(raw, cv2.MORPH_CLOSE, np.ones(how.close, np.uint8)), np.uint8)
    if how.open > 1:
        raw = np.asarray(cv2.morphologyEx(raw, cv2.MORPH_OPEN, np.ones((how.open, 1), np.uint8)), np.uint8)
    return raw


def _main_parts(strip: Bytes, least: float) -> Bytes:
    """Remove parts of fewer than `least` pixels."""
    count, found = cv2.connectedComponents(strip, connectivity=8, ltype=cv2.CV_16U)
    few = count <= 256
    # Histograms of bytes are four times faster.
    labels: Bytes | NDArray[np.uint16] = found.astype(np.uint8) if few else np.asarray(found, np.uint16)
    area = cv2.calcHist([labels], [0], None, [count], [0, count]).ravel()
    area[0] = 0
    kept = area >= max(least, 1)
    if kept[1:].all():
        return strip
    if few:
        return np.asarray(cv2.LUT(labels, np.resize(kept, 256).astype(np.uint8)), np.uint8)
    return np.asarray(kept, np.uint8).take(labels)
