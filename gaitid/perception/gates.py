"""Gates for masks: which frames of a track show one whole, upright, walking body, and why others do not.

`measure` looks at one mask; `judge` looks at a whole walk, so it can compare each frame with those
before and after it. Source of the quality ideas: Wang et al. 2024 (QAGait): largest component, shape,
completeness. The limits relative to a running median, and the memory of bodies hidden by others, are ours.

The constants were chosen on the street video vtest.avi (768x576, 10 frames/s, bodies of 50 to 140 px) against
frames labelled by eye, unless another source is named; `benchmarks/perception.py` reports the agreement.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.signal import find_peaks

from gaitid.perception.align import align, binarise
from gaitid.records import SILHOUETTE, Frame, Observation, Reason

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_LEGS_MOVE = 0.12
"""Share of leg pixels that change from frame to frame in a walk at 10 to 30 frames/s."""
_LEGS_BELOW = 0.6
"""Share of the height, from the top, below which a silhouette shows legs."""
_LEG_FRAMES = 5
"""Frames over which the greatest leg motion counts: legs pause while they pass each other."""

_HEAD_SHARE = 0.1
"""Share of the height, from the top, in which the width of the head is measured."""
_HEAD_LEVEL = 0.62
"""Least height of a head's top over the foot of the mask, as a share of the height."""
_HEAD_RELIEF = 0.09
"""Least rise of a head out of the outline around it, as a share of the height."""
_HEAD_WIDTH = 0.05
"""Least width of a head, as a share of the height."""

_MIN_ASPECT, _MAX_ASPECT = 1.4, 5.0
"""Height over width of an upright body: striding from the side, and standing seen from the side."""
_MIN_FILL, _MAX_FILL = 0.25, 0.85
"""Share of its box that a body covers; a bicycle covers less, a box or vehicle more."""
_MAX_HEAD_RATIO = 0.85
"""Width of the uppermost tenth over the greatest width: more is a flat top, which is no head."""

_PAIR_ASPECT = 0.8
"""Width over height from which a mask shows two people side by side, whatever it showed before."""
_WIDER = 1.6
"""Width over the usual width from which a mask shows more than one body ..."""
_WIDE_ASPECT = 0.55
"""... when its width over height is also greater than this, which no single stride reaches."""
_SURE_AREA_GAINS = 3
"""Gains in area, in units of `GateSettings.max_gain`, from which a mask shows more than one body."""
_SOFT_WIDTH_GAINS = 2
"""Gains in width, in the same units, with which a frame beside a merged one counts as merged too."""
_MIN_AREA = 0.72
"""Least area over the usual area: less has lost an arm or a leg."""

_MERGED_HALF_S = 0.7
"""Half the window, seconds, in which a majority of merged frames makes the middle one merged."""
_LONE_FRAMES = 5
"""Frames among which two must show several heads; one alone is a raised arm or noise."""
_STANDING_HALF_S = 1.25
"""Half the window, seconds, in which the speed of a body is measured: about two steps."""
_STANDING_MIN_S = 1.0
"""Shortest time, seconds, over which a speed is trusted."""
_TREND_FRAMES = 5
"""Least frames in each half of a walk for a trend of its size."""


@dataclass(frozen=True)
class GateSettings:
    """Limits between a good frame and a refused one.

    Attributes:
        min_height_px: Least body height, pixels of the source.
        border_px: A body at most this near to the image border, pixels, counts as cut off.
        min_share: Masks: least share of the largest piece, 0..1.
        max_holes: Masks: greatest area of holes over the area of the mask.
        max_loss: A body this much (0..1) shorter than around that time is cut off.
        max_gain: Masks: a body this much taller, or three times this much larger in area, is more than one.
        max_overlap: Greatest share of a box, 0..1, that may lie in the box of another track.
        min_speed: Body heights a second below which a body stands; up to twice that it walks only if
            its legs move too. Legs of skeletons decide below it as well, where both ankles are seen.
        window_s: Half the window of the running median, seconds.
        joint_confidence: Skeletons: least confidence, 0..1, of a joint that counts as seen.
        min_joints: Skeletons: least share of the six hip, knee and ankle joints that are seen, 0..1.
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
    joint_confidence: float = 0.3
    min_joints: float = 0.6


@dataclass(frozen=True, slots=True)
class Shape:
    """Measures of one mask.

    Attributes:
        height: Height of the box, pixels.
        width: Width of the box, pixels.
        area: Area of the mask, pixels.
        share: Share of the largest piece in the mask's area, 0..1.
        holes: Area of the holes over the area of the mask.
        heads: Number of tops of the outline that could be heads.
        head_ratio: Width of the uppermost tenth over the greatest width of the body.
        cut: True when the box touches the image border.
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
    return Shape(
        height=float(height),
        width=float(width),
        area=float(area),
        share=share,
        holes=float(np.count_nonzero(filled) - np.count_nonzero(body)) / max(area, 1),
        heads=_heads(filled),
        head_ratio=float(rows[: max(int(_HEAD_SHARE * height), 1)].mean() / max(rows.max(), 1)),
        cut=at_border(box, frame, border_px),
    )


def at_border(box: NDArray[np.float32], frame: tuple[int, int], border_px: int) -> bool:
    """Return whether a box (4,) xyxy touches the border of a frame of (H, W) pixels."""
    return bool(
        box[0] <= border_px
        or box[1] <= border_px
        or box[2] >= frame[1] - border_px
        or box[3] >= frame[0] - border_px
    )


def _heads(body: Bytes) -> int:
    """Count the tops of the outline that stand out like a head, in its upper third."""
    height = body.shape[0]
    top = np.where(body.any(axis=0), body.argmax(axis=0), height)
    relief = np.pad(height - top, 1)
    peaks, _ = find_peaks(
        relief,
        height=_HEAD_LEVEL * height,
        prominence=_HEAD_RELIEF * height,
        width=_HEAD_WIDTH * height,
        plateau_size=0,
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
    """Return the reasons against each frame of a walk; a good frame has none.

    Args:
        shapes: N shapes, oldest first.
        times: (N,) seconds.
        boxes: (N, 4) xyxy pixels.
        crowded: (N,) True where another track overlaps the box or has vanished into it.
        silhouettes: N aligned silhouettes (H, W) 0/1; None where nothing is left of the mask.
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
        | (area < _MIN_AREA * usual_area),
        Reason.NOT_PERSON: (aspect < _MIN_ASPECT)
        | (aspect > _MAX_ASPECT)
        | (fill < _MIN_FILL)
        | (fill > _MAX_FILL)
        | (head_ratio > _MAX_HEAD_RATIO),
        Reason.STANDING: _standing(boxes, times, silhouettes, settings),
    }
    return by_frame(flags)


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredMask:
    """A mask's measures and its aligned silhouette (64, 44) uint8 0/1, None where nothing is left of it."""

    shape: Shape
    silhouette: Bytes | None


@dataclass(frozen=True, slots=True)
class SilhouetteGate:
    """Makes the ``silhouette`` stream from masks; a `walks.Gate`."""

    stream: ClassVar[str] = SILHOUETTE
    missing: ClassVar[Reason] = Reason.FRAGMENTED
    settings: GateSettings

    def measure(self, observation: Observation, frame: Frame) -> MeasuredMask | None:
        """Measure and align an observation's mask; None without a mask."""
        if observation.mask is None:
            return None
        size = (frame.image.shape[0], frame.image.shape[1])
        shape = measure(observation.mask, observation.box, size, self.settings.border_px)
        gray = align(observation.mask)
        return MeasuredMask(shape, None if gray is None else binarise(gray))

    def glance(self, measured: MeasuredMask, crowded: bool) -> tuple[Reason, ...]:
        """Return the reasons that a single frame shows."""
        return glance(measured.shape, crowded, self.settings)

    def judge(
        self, measured: Sequence[MeasuredMask], times: Floats, boxes: Floats, crowded: Flags
    ) -> tuple[tuple[Reason, ...], ...]:
        """Return the reasons against each frame; see `judge`."""
        shapes, silhouettes = [m.shape for m in measured], [m.silhouette for m in measured]
        return judge(shapes, times, boxes, crowded, silhouettes, self.settings)

    def frames(self, measured: Sequence[MeasuredMask]) -> Bytes:
        """Return the (N, 64, 44) uint8 0/1 frames of the stream; all of them good."""
        return np.array([m.silhouette for m in measured], np.uint8)


def by_frame(flags: Mapping[Reason, Flags]) -> tuple[tuple[Reason, ...], ...]:
    """Turn flags (N,) by reason into the reasons of each of the N frames."""
    frames = zip(*flags.values(), strict=True)
    return tuple(tuple(itertools.compress(flags, frame)) for frame in frames)


def glance(shape: Shape, crowded: bool, settings: GateSettings = GateSettings()) -> tuple[Reason, ...]:
    """Return the reasons that a single frame shows without those around it."""
    flags = {
        Reason.TOO_SMALL: shape.height < settings.min_height_px,
        Reason.CUT_OFF: shape.cut,
        Reason.MERGED: crowded or shape.heads > 1,
        Reason.FRAGMENTED: shape.share < settings.min_share or shape.holes > settings.max_holes,
    }
    return tuple(reason for reason, flag in flags.items() if flag)


def running_median(values: Floats, trusted: Flags, times: Floats, half_s: float) -> Floats:
    """Return the (N,) median of the trusted values within `half_s` of each time.

    Values are positive. If none is trusted, all are used. Their steady growth is removed first and restored
    at the end, because at the ends of a walk all neighbours of a frame lie on one side.
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
    """Return the relative growth a second from the medians of the two halves; 0 for fewer than 10 values."""
    half = len(values) // 2
    if half < _TREND_FRAMES:
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
    """Flag the frames whose mask shows more than one body."""
    several = _twice(heads > 1)
    sure = crowded | several | (width > _PAIR_ASPECT * height)
    calm = ~sure & ~cut
    usual = [running_median(v, calm, times, settings.window_s) for v in (height, width, area)]
    gain = settings.max_gain
    sure |= height > (1 + gain) * usual[0]
    sure |= area > (1 + _SURE_AREA_GAINS * gain) * usual[2]
    sure |= (width > _WIDER * usual[1]) & (width > _WIDE_ASPECT * height)
    larger = (area > (1 + gain) * usual[2]) | (width > (1 + _SOFT_WIDTH_GAINS * gain) * usual[1])
    return _spread(_fill_gaps(sure, times), larger)


def _twice(flags: Flags) -> Flags:
    """Keep the flags that have another flag within two frames."""
    if len(flags) >= _LONE_FRAMES:
        near = np.convolve(flags, np.ones(_LONE_FRAMES), "same")
    else:
        near = np.full(len(flags), flags.sum())
    return flags & (near >= 2)


def _fill_gaps(flags: Flags, times: Floats) -> Flags:
    """Add the frames around which a majority is flagged."""
    low = np.searchsorted(times, times - _MERGED_HALF_S)
    high = np.searchsorted(times, times + _MERGED_HALF_S, "right")
    total = np.concatenate([[0], np.cumsum(flags)])
    return np.asarray(flags | ((total[high] - total[low]) > 0.5 * (high - low)))


def _spread(seeds: Flags, allowed: Flags) -> Flags:
    """Add the runs of allowed frames that touch a seed."""
    grown = seeds.copy()
    for order in (range(1, len(seeds)), range(len(seeds) - 2, -1, -1)):
        step = 1 if order.step < 0 else -1
        for i in order:
            grown[i] |= allowed[i] & grown[i + step]
    return grown


def speed_of(boxes: Floats, times: Floats) -> Floats:
    """Return the (N,) speed of a body within 2.5 s, body heights a second; infinite where that is unknown.

    A change of size counts as movement: a person who walks straight at a camera 10 m away and 1.5 m up
    still grows by 0.17 heights a second.

    Args:
        boxes: (N, 4) xyxy pixels.
        times: (N,) seconds.
    """
    height = boxes[:, 3] - boxes[:, 1]
    place = np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, height])
    low = np.searchsorted(times, times - _STANDING_HALF_S)
    high = np.searchsorted(times, times + _STANDING_HALF_S, "right") - 1
    span = times[high] - times[low]
    speed = np.linalg.norm(place[high] - place[low], axis=1) / height / np.maximum(span, 1e-6)
    return np.where(span >= _STANDING_MIN_S, speed, np.inf)


def _standing(
    boxes: Floats, times: Floats, silhouettes: Sequence[Bytes | None], settings: GateSettings
) -> Flags:
    """Flag the frames in which a body stands: it hardly moves, or moves slowly and its legs do not."""
    speed, legs = speed_of(boxes, times), _leg_motion(silhouettes)
    return np.asarray((speed < settings.min_speed) | ((speed < 2 * settings.min_speed) & (legs < _LEGS_MOVE)))


def _leg_motion(silhouettes: Sequence[Bytes | None]) -> Floats:
    """Return the (N,) share of leg pixels that change from frame to frame, the greatest in five frames."""
    change = np.zeros(len(silhouettes))
    for i, (old, new) in enumerate(itertools.pairwise(silhouettes), start=1):
        if old is not None and new is not None:
            top = int(_LEGS_BELOW * len(new))
            changed = old[top:] != new[top:]
            change[i] = changed.sum() / max(int(new[top:].sum()), 1)
    return np.asarray(maximum_filter1d(change, _LEG_FRAMES))
