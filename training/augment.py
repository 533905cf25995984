"""Augmentation that gives synthetic silhouettes the variety of real cameras and segmenters.

Each change takes a random generator and a (T, 64, 44) uint8 clip of 0 and 1 and returns a new clip. A
recipe sets the probabilities and strengths; see `recipe.Augmentation`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.encoders.clips import resample
from gaitid.synthetic.frames import align_all

from .recipe import Augmentation

Clip = NDArray[np.uint8]


def choose_frames(
    rng: np.random.Generator, times: NDArray[np.float64], frames: int, how: Augmentation
) -> NDArray[np.intp]:
    """Choose a random stretch at the network's frame rate, after a change of speed and lost frames.

    Returns:
        (frames,) indices into `times`.
    """
    kept = np.flatnonzero(rng.random(len(times)) >= rng.uniform(0, how.drop))
    if len(kept) < 2:
        kept = np.arange(len(times))
    pace = float(np.exp(rng.uniform(-1, 1) * np.log(how.speed)))
    places = kept[resample(times[kept] * pace)]
    if len(places) < frames:  # repeat a short walk
        places = np.resize(places, frames)
    start = int(rng.integers(0, len(places) - frames + 1))
    return places[start : start + frames]


def ordered(
    rng: np.random.Generator, times: NDArray[np.float64], frames: int, how: Augmentation, skip: int = 0
) -> NDArray[np.intp]:
    """(frames,) indices of a stretch without `skip` of its frames; a short walk is repeated as a whole."""
    stretch = frames + skip
    total = len(times) * -(-stretch // len(times))
    places = int(rng.integers(0, total - stretch + 1)) + np.arange(stretch)
    if skip:
        places = np.sort(rng.choice(places, frames, replace=False))
    return np.asarray(places % len(times), np.intp)


def unordered(
    rng: np.random.Generator, times: NDArray[np.float64], frames: int, how: Augmentation
) -> NDArray[np.intp]:
    """(frames,) indices of any frames, without repetition if the walk has enough frames."""
    return rng.choice(len(times), frames, replace=len(times) < frames)


Choice = Callable[[np.random.Generator, NDArray[np.float64], int, Augmentation], NDArray[np.intp]]
CHOICES: Mapping[str, Choice] = {"resampled": choose_frames, "ordered": ordered, "unordered": unordered}
"""Functions that choose the frames of a clip, by `recipe.Batch.order`."""


def silhouettes(rng: np.random.Generator, clip: Clip, how: Augmentation) -> Clip:
    """Augment a clip; the shape stays the same."""
    if how.garment and rng.random() < how.garment:
        clip = garment(rng, clip)
    if how.lean:
        clip = lean(clip, *rng.uniform(-how.lean, how.lean, 2) * rng.random())
    clip = _warp(rng, clip, how)
    if how.distort or how.drift:
        drift = how.drift * float(rng.random()) if how.drift else 0.0
        clip = distort(rng, clip, how.distort * float(rng.random()), drift)
    for chance, change in (
        (how.morphology, _morphology),
        (how.coarse, _coarse),
        (how.rough, _rough),
        (how.erase, _erase),
        (how.blink, _blink),
    ):
        if rng.random() < chance:
            clip = change(rng, clip)
    if (
        how.burst and rng.random() < how.burst
    ):  # no draw when off: the batches of older recipes stay as they were
        clip = _burst(rng, clip)
    return _bands(rng, clip, how.bands) if how.bands else clip


def _warp(rng: np.random.Generator, clip: Clip, how: Augmentation) -> Clip:
    """Mirror, cut, shift, stretch and shear a clip with one affine map."""
    _, height, width = clip.shape
    stretch_x, stretch_y = 1 + rng.uniform(-how.scale, how.scale, 2)
    if how.widen:
        stretch_x *= 1 + rng.uniform(0, how.widen)
    middle_y = height / 2
    if rng.random() < how.cut:
        lost = rng.uniform(0.02, 0.12)
        stretch_y /= 1 - lost
        stretch_x /= 1 - lost
        middle_y += (
            height * lost / 2 * rng.choice([-1, 1], p=[0.7, 0.3])
        )  # feet are lost more often than the head
    if rng.random() < how.flip:
        stretch_x = -stretch_x
    lean = rng.uniform(-how.shear, how.shear)
    move_x, move_y = rng.uniform(-how.shift_px, how.shift_px) / 1.0, rng.uniform(-0.5, 0.5) * how.shift_px
    middle_x = (width - 1) / 2
    matrix = np.array(
        [
            [stretch_x, lean, middle_x - stretch_x * middle_x - lean * height / 2 + move_x],
            [0.0, stretch_y, height / 2 - stretch_y * middle_y + move_y],
        ]
    )
    return np.stack([cv2.warpAffine(f * np.uint8(255), matrix, (width, height)) > 127 for f in clip]).view(
        np.uint8
    )


def lean(clip: Clip, first: float, last: float) -> Clip:
    """Rotate the body and align it again.

    A subject away from the image centre appears as at the centre, mapped by a homography. Near a single body
    this homography is little more than a rotation.

    Args:
        clip: (T, H, W) uint8, 0 or 1.
        first: Angle in the first frame, degrees.
        last: Angle in the last frame, degrees; frames between are interpolated.
    """
    _, height, width = clip.shape
    wide = 2 * height  # room for the rotated body
    turned = np.zeros((len(clip), wide, wide), np.uint8)
    for frame, angle, target in zip(clip, np.linspace(first, last, len(clip)), turned, strict=True):
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), float(angle), 1.0)
        matrix[:, 2] += (wide - width) / 2, (wide - height) / 2
        cv2.warpAffine(frame * np.uint8(255), matrix, (wide, wide), dst=target)
    return align_all((turned > 127).view(np.uint8), (height, width))


def distort(rng: np.random.Generator, clip: Clip, strength: float, drift: float = 0.0) -> Clip:
    """Distort outlines smoothly: width by height, lean, trunk against legs, and thickness.

    Args:
        rng: Source of randomness.
        clip: (T, H, W) uint8, 0 or 1.
        strength: At 1, the two halves of a walk differ as much as those of real walks: the head moves one
            pixel against the middle, and shoulders and chest widen by a twelfth.
        drift: Strength of a second distortion that changes linearly from minus half of it in the first frame
            to plus half of it in the last.
    """
    bends = bend(rng, clip.shape[1], strength)[None]
    level = 255 * (0.5 + strength * float(rng.uniform(-0.15, 0.15)))
    if drift:
        bends = bends + np.linspace(-0.5, 0.5, len(clip))[:, None, None] * bend(rng, clip.shape[1], drift)
    sources = (np.broadcast_to(values, clip.shape) for values in maps(bends, clip.shape[2]))
    soft = (cv2.GaussianBlur(frame * np.uint8(255), (5, 5), 1.0) for frame in clip)
    bent = [cv2.remap(frame, x, y, cv2.INTER_LINEAR) for frame, x, y in zip(soft, *sources, strict=True)]
    return np.asarray(np.stack(bent) > level).view(np.uint8)


def bend(rng: np.random.Generator, height: int, strength: float) -> NDArray[np.float64]:
    """(3, H) pixels up, logarithm of the widening, and pixels sideways, for each row."""
    v = (np.arange(height) + 0.5) / height
    lifts = np.stack([np.sin(k * np.pi * v) / k for k in (1, 2, 3)])
    widths = np.stack([np.full(height, 0.5), *(np.cos(k * np.pi * v) / (1 + k) for k in (1, 2, 3))])
    leans = np.stack([v - 0.5, (v - 0.5) ** 2])
    sizes = strength * np.array([0.015 * height, 0.13, 0.035 * height])
    parts = [rng.standard_normal(len(waves)) @ waves for waves in (lifts, widths, leans)]
    return np.asarray(sizes[:, None] * np.stack(parts))


def maps(bends: NDArray[np.float64], width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N, H, W) source column and row of each pixel, from (N, 3, H) bends."""
    lift, widening, aside = bends[:, :, :, None].transpose(1, 0, 2, 3)
    middle = (width - 1) / 2
    x = middle + (np.arange(width) - middle) * np.exp(widening) + aside
    y = np.repeat(np.arange(bends.shape[2])[:, None] + lift, width, 2)
    return x.astype(np.float32), y.astype(np.float32)


def _tall(clip: Clip) -> Clip:
    """(T * H, W) frames stacked into one image, so that OpenCV is called once."""
    return clip.reshape(-1, clip.shape[2])


def _morphology(rng: np.random.Generator, clip: Clip) -> Clip:
    size = (int(rng.integers(1, 4)), int(rng.integers(2, 4)))
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    return np.asarray(change(_tall(clip), np.ones(size, np.uint8)), np.uint8).reshape(clip.shape)


def _coarse(rng: np.random.Generator, clip: Clip) -> Clip:
    frames, height, width = clip.shape
    share = rng.uniform(0.25, 0.6)
    small = (max(8, round(width * share)), max(12, round(height * share)) * frames)
    low = cv2.resize(_tall(clip) * np.uint8(255), small, interpolation=cv2.INTER_AREA)
    back = cv2.resize(low, (width, height * frames), interpolation=cv2.INTER_LINEAR)
    return (back > 127).view(np.uint8).reshape(clip.shape)


def _rough(rng: np.random.Generator, clip: Clip) -> Clip:
    frames, height, width = clip.shape
    cells = int(rng.integers(6, 17))
    soft = cv2.GaussianBlur(_tall(clip).astype(np.float32), (0, 0), rng.uniform(0.7, 1.5))
    noise = rng.standard_normal((frames * cells, cells * width // height + 1), np.float32)
    slow = cv2.resize(noise, (width, height * frames), interpolation=cv2.INTER_LINEAR)
    return (soft + rng.uniform(0.05, 0.25) * slow > 0.5).view(np.uint8).reshape(clip.shape)


def _rectangle(rng: np.random.Generator, height: int, width: int) -> tuple[slice, slice]:
    area, aspect = rng.uniform(0.02, 0.2) * height * width, np.exp(rng.uniform(-1.2, 1.2))
    tall, wide = int(np.sqrt(area * aspect)) + 1, int(np.sqrt(area / aspect)) + 1
    y, x = int(rng.integers(0, max(1, height - tall))), int(rng.integers(0, max(1, width - wide)))
    return slice(y, y + tall), slice(x, x + wide)


def _erase(rng: np.random.Generator, clip: Clip) -> Clip:
    clip = clip.copy()
    clip[(slice(None), *_rectangle(rng, *clip.shape[1:]))] = 0
    return clip


def _blink(rng: np.random.Generator, clip: Clip) -> Clip:
    clip = clip.copy()
    for frame in np.flatnonzero(rng.random(len(clip)) < 0.3).tolist():
        clip[(frame, *_rectangle(rng, *clip.shape[1:]))] = 0
    return clip


def garment(rng: np.random.Generator, clip: Clip) -> Clip:
    """Put other clothes on: the same pixels wider in front and behind in all frames, gaps beside arms closed.

    Jackets, collars, hoods and coat tails widen neck to hips by 2.4 pixels on average; trousers hardly change
    an outline (CASIA-B, subjects 001 to 074, side view).
    """
    height = clip.shape[1]
    v = (np.arange(height) + 0.5) / height
    hood, hem = rng.random() < 0.6, rng.choice([0.5, 0.55, 0.7])
    top = 0.02 if hood and rng.random() < 0.3 else 0.1 if hood else 0.17
    worn = 1 / (1 + np.exp(-(v - top) * 60)) / (1 + np.exp((v - hem) * 40))
    waves = np.stack([np.ones(height), np.cos(np.pi * v / hem), np.cos(2 * np.pi * v / hem)])
    sides = [worn * np.clip(rng.uniform(0, 2.2) + rng.normal(0, [0, 0.5, 0.3]) @ waves, 0, 4) for _ in "ab"]
    made = clip.copy()
    rows = np.flatnonzero(worn > 0.5)
    made[:, rows] = _closed(clip[:, rows], int(rng.integers(1, 4)))
    before = made.copy()
    for step in range(1, 5):
        for side, (target, source) in zip(sides, _shifts(step), strict=True):
            wide = np.flatnonzero(side > step - 0.5)
            made[:, wide, target] |= before[:, wide, source]
    return made


def _shifts(step: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Columns that a shift to the right and one to the left write and read."""
    early, late = slice(None, -step), slice(step, None)
    return (late, early), (early, late)


def _closed(clip: Clip, gap: int) -> Clip:
    """Close gaps of at most 2 `gap` columns within rows."""
    kernel = np.ones((1, 2 * gap + 1), np.uint8)
    tall = np.ascontiguousarray(_tall(clip))
    return np.asarray(cv2.morphologyEx(tall, cv2.MORPH_CLOSE, kernel), np.uint8).reshape(clip.shape)


def _bands(rng: np.random.Generator, clip: Clip, chance: float) -> Clip:
    """Dilate or erode head, trunk and legs apart (Fan et al. 2023, GaitSSB)."""
    made = clip.copy()
    edges = (0, 11, 34, clip.shape[1])
    for first, last in itertools.pairwise(edges):
        if rng.random() < chance:
            change = cv2.dilate if rng.random() < 0.5 else cv2.erode
            band = np.ascontiguousarray(_tall(clip[:, first:last]))
            made[:, first:last] = change(band, np.ones((1, 3), np.uint8)).reshape(made[:, first:last].shape)
    return made


def _burst(rng: np.random.Generator, clip: Clip) -> Clip:
    """Lose the head or the feet in a few frames in a row; alignment stretches what is left."""
    frames, height, width = clip.shape
    first, lost = int(rng.integers(0, frames)), float(rng.uniform(0.06, 0.2))
    rows = round(lost * height)
    kept = slice(rows, None) if rng.random() < 0.5 else slice(None, -rows)
    made = clip.copy()
    for frame in range(first, min(frames, first + int(rng.integers(2, 8)))):
        rest = np.ascontiguousarray(clip[frame, kept] * np.uint8(255))
        wide = max(2, 2 * round(width / (1 - lost) / 2))
        tall = cv2.resize(rest, (wide, height), interpolation=cv2.INTER_LINEAR)
        aside = (wide - width) // 2
        made[frame] = tall[:, aside : aside + width] > 127
    return made
