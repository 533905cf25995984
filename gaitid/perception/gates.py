"""Which frames of a track show one whole, upright, walking body, and why the others do not.

`measure` looks at one mask; `judge` looks at a whole walk, so it can compare each frame with those
before and after it. Source of the quality ideas: Wang et al. 2024 (QAGait): largest component, shape,
completeness. The bands about a running median, and the memory of bodies absorbed by others, are ours.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.signal import find_peaks

from gaitid.records import Reason

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_LEGS_MOVE = 0.12  # share of leg pixels that change from frame to frame when walking at 10 to 30 fps


@dataclass(frozen=True)
class GateSettings:
    """Limits between a good frame and a refused one.

    Attributes:
        min_height_px: Least body height, pixels of the source.
        border_px: A body nearer to the image border counts as cut.
        min_share: Least share of the largest piece of a mask, 0..1.
        max_holes: Most area of holes over area of the mask.
        max_loss: A body this much (0..1) shorter than around that time is cut off.
        max_gain: A body this much taller, or twice this much larger in area, is more than one.
        max_overlap: Most share of its box, 0..1, that lies in the box of another.
        min_speed: Body heights a second below which a body stands; up to twice that it walks only if
            its legs move too.
        window_s: Half width of the running median, seconds.
    """

    min_height_px: int = 48
    border_px: int = 2
    min_share: float = 0.93
    max_holes: float = 0.08
    max_loss: float = 0.12
    max_gain: float = 0.15
    max_overlap: float = 0.15
    min_speed: float = 0.1
    window_s: float = 2.5


@dataclass(frozen=True, slots=True)
class Shape:
    """What one mask shows.

    Attributes:
        height: Of the box, pixels.
        width: Of the box, pixels.
        area: Of the mask, pixels.
        share: Of the largest piece in the mask's area, 0..1.
        holes: Area of the holes over the area of the mask.
        heads: Number of tops of the outline that could be heads.
        head_ratio: Width of the uppermost tenth over the greatest width of the body.
        cut: True when it touches the image border.
    """

    height: float
    width: float
    area: float
    share: float
    holes: float
    heads: int
    head_ratio: float
    cut: bool


def measure(mask: Bytes, box: NDArray[np.float32], frame: tuple[int, int], border_px: int = 2) -> Shape:
    """Measure one mask.

    Args:
        mask: (h, w) uint8 0/1 of the box.
        box: (4,) xyxy pixels.
        frame: (H, W) of the frame.
        border_px: See `GateSettings`.
    """
    height, width = mask.shape
    area = int(np.count_nonzero(mask))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    sizes = stats[1:, cv2.CC_STAT_AREA]
    share = float(sizes.max() / area) if area else 0.0
    body = (labels == 1 + int(sizes.argmax())).astype(np.uint8) if area else mask
    outer, _ = cv2.findContours(body, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.asarray(cv2.drawContours(np.zeros_like(body), outer, -1, 1, cv2.FILLED), np.uint8)
    rows = filled.sum(axis=1, dtype=np.int64)
    cut = (
        box[0] <= border_px
        or box[1] <= border_px
        or box[2] >= frame[1] - border_px
        or box[3] >= frame[0] - border_px
    )
    return Shape(
        height=float(height),
        width=float(width),
        area=float(area),
        share=share,
        holes=float(np.count_nonzero(filled) - np.count_nonzero(body)) / max(area, 1),
        heads=_heads(filled),
        head_ratio=float(rows[: max(height // 10, 1)].mean() / max(rows.max(), 1)),
        cut=bool(cut),
    )


def _heads(body: Bytes) -> int:
    """Tops of the outline that rise a tenth of the height out of it and lie in its upper third."""
    height = body.shape[0]
    top = np.where(body.any(axis=0), body.argmax(axis=0), height)
    relief = np.pad(height - top, 1)
    peaks, _ = find_peaks(
        relief, height=0.62 * height, prominence=0.09 * height, width=0.05 * height, plateau_size=0
    )
    return len(peaks)


def judge(
    shapes: Sequence[Shape],
    times: Floats,
    boxes: Floats,
    crowded: Flags,
    silhouettes: Sequence[Bytes | None],
    settings: GateSettings = GateSettings(),
) -> tuple[tuple[Reason, ...], ...]:
    """The reasons against each frame of a walk; empty for a good one.

    Args:
        shapes: N shapes, oldest first.
        times: (N,) seconds.
        boxes: (N, 4) xyxy pixels.
        crowded: (N,) True where another track overlaps the box or has vanished into it.
        silhouettes: N aligned silhouettes (H, W) 0/1; None where nothing was left of the mask.
        settings: See `GateSettings`.
    """
    if not shapes:
        return ()
    height, width, area, share, holes, heads, head_ratio, cut = (
        np.array(column)
        for column in zip(
            *((s.height, s.width, s.area, s.share, s.holes, s.heads, s.head_ratio, s.cut) for s in shapes),
            strict=True,
        )
    )
    empty = np.array([s is None for s in silhouettes])
    merged = _merged(height, width, area, heads, crowded, cut, times, settings)
    calm = ~merged & ~cut
    usual_height = running_median(height, calm, times, settings.window_s)
    usual_area = running_median(area, calm, times, settings.window_s)
    aspect, fill = height / width, area / (height * width)
    flags = {
        Reason.TOO_SMALL: height < settings.min_height_px,
        Reason.CUT_OFF: cut | (height < (1 - settings.max_loss) * usual_height),
        Reason.MERGED: merged,
        Reason.FRAGMENTED: empty
        | (share < settings.min_share)
        | (holes > settings.max_holes)
        | (area < 0.72 * usual_area),
        Reason.NOT_PERSON: (aspect < 1.4)
        | (aspect > 5.0)
        | (fill < 0.25)
        | (fill > 0.85)
        | (head_ratio > 0.85),
        Reason.STANDING: _standing(boxes, times, silhouettes, settings),
    }
    return tuple(tuple(reason for reason, flag in flags.items() if flag[i]) for i in range(len(shapes)))


def glance(shape: Shape, crowded: bool, settings: GateSettings = GateSettings()) -> tuple[Reason, ...]:
    """The reasons that can be told at once from a single frame."""
    flags = {
        Reason.TOO_SMALL: shape.height < settings.min_height_px,
        Reason.CUT_OFF: shape.cut,
        Reason.MERGED: crowded or shape.heads > 1,
        Reason.FRAGMENTED: shape.share < settings.min_share or shape.holes > settings.max_holes,
    }
    return tuple(reason for reason, flag in flags.items() if flag)


def running_median(values: Floats, trusted: Flags, times: Floats, half_s: float) -> Floats:
    """(N,) median of the trusted values within `half_s` of each time; of all when none is trusted.

    Values are positive. Their steady growth is taken out first and put back in the end, because at the
    ends of a walk all neighbours of a frame lie on one side.
    """
    if not trusted.any():
        trusted = np.ones_like(trusted)
    growth = np.exp(_trend(values[trusted], times[trusted]) * (times - times[0]))
    values = values / growth
    known, known_times = values[trusted], times[trusted]
    low = np.searchsorted(known_times, times - half_s, "left")
    high = np.searchsorted(known_times, times + half_s, "right")
    overall = np.median(known)
    medians = [np.median(known[a:b]) if b - a > 2 else overall for a, b in zip(low, high, strict=True)]
    return np.asarray(medians * growth)


def _trend(values: Floats, times: Floats) -> float:
    """Relative growth a second, from the medians of the two halves; 0 for fewer than 10 values."""
    half = len(values) // 2
    if half < 5:
        return 0.0
    gain = np.log(np.maximum(np.median(values[half:]), 1.0) / np.maximum(np.median(values[:half]), 1.0))
    return float(gain / (np.median(times[half:]) - np.median(times[:half])))


def _merged(
    height: Floats,
    width: Floats,
    area: Floats,
    heads: NDArray[np.intp],
    crowded: Flags,
    cut: Flags,
    times: Floats,
    settings: GateSettings,
) -> Flags:
    """Frames whose blob is more than one body."""
    several = _twice(heads > 1)
    sure = crowded | several | (width > 0.8 * height)
    calm = ~sure & ~cut
    usual = [running_median(v, calm, times, settings.window_s) for v in (height, width, area)]
    gain = settings.max_gain
    sure |= height > (1 + gain) * usual[0]
    sure |= area > (1 + 3 * gain) * usual[2]
    sure |= (width > 1.6 * usual[1]) & (width > 0.55 * height)
    larger = (area > (1 + gain) * usual[2]) | (width > (1 + 2 * gain) * usual[1])
    return _spread(_fill_gaps(sure, times), larger)


def _twice(flags: Flags) -> Flags:
    """Flags that have another flag within two frames; a lone one is a raised arm or noise."""
    near = np.convolve(flags, np.ones(5), "same") if len(flags) >= 5 else np.full(len(flags), flags.sum())
    return flags & (near >= 2)


def _fill_gaps(flags: Flags, times: Floats, half_s: float = 0.7) -> Flags:
    """Flags, and the frames about which most are flagged."""
    low, high = np.searchsorted(times, times - half_s), np.searchsorted(times, times + half_s, "right")
    total = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(flags | ((total[high] - total[low]) > 0.5 * (high - low)))


def _spread(seeds: Flags, allowed: Flags) -> Flags:
    """Seeds, and the runs of allowed frames that touch one."""
    grown = seeds.copy()
    for order in (range(1, len(seeds)), range(len(seeds) - 2, -1, -1)):
        step = 1 if order.step < 0 else -1
        for i in order:
            grown[i] |= allowed[i] & grown[i + step]
    return grown


def _standing(
    boxes: Floats, times: Floats, silhouettes: Sequence[Bytes | None], settings: GateSettings
) -> Flags:
    """Frames in which the body hardly moves within 2.5 s, coming nearer or going away included.

    One who walks straight at a camera 10 m away and 1.5 m up still gains 0.17 heights a second.
    """
    height = boxes[:, 3] - boxes[:, 1]
    place = np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, height])
    low = np.searchsorted(times, times - 1.25)
    high = np.searchsorted(times, times + 1.25, "right") - 1
    span = times[high] - times[low]
    speed = np.linalg.norm(place[high] - place[low], axis=1) / height / np.maximum(span, 1e-6)
    still = (speed < settings.min_speed) | (
        (speed < 2 * settings.min_speed) & (_leg_motion(silhouettes) < _LEGS_MOVE)
    )
    return np.asarray(still & (span >= 1.0))


def _leg_motion(silhouettes: Sequence[Bytes | None]) -> Floats:
    """(N,) share of the leg pixels that change from frame to frame, the most within five frames."""
    change = np.zeros(len(silhouettes))
    for i, (old, new) in enumerate(itertools.pairwise(silhouettes), start=1):
        if old is not None and new is not None:
            legs = old[old.shape[0] * 6 // 10 :] != new[new.shape[0] * 6 // 10 :]
            change[i] = legs.sum() / max(int(new[new.shape[0] * 6 // 10 :].sum()), 1)
    return np.asarray(maximum_filter1d(change, 5))
