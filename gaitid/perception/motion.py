"""People as moving foreground before a static camera's learned background.

Source: Zivkovic 2004 (adaptive Gaussian mixture, with shadow detection after Prati et al. 2003), as
in OpenCV's MOG2. What is ours: the mixture starts from the median of a warm-up (so people who walk
through it leave no ghosts), a change of light starts a new warm-up, and a moving camera is refused
instead of yielding nonsense.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import CameraMoving
from gaitid.records import Frame, Observation

Bytes = NDArray[np.uint8]

_SAMPLES = 25  # pictures kept of the warm-up; their median is exact to a few gray levels
_PROBE = (96, 72)  # size in which the shift of the whole picture is measured
_DOUBT_S = 0.3  # a flash is shorter


@dataclass(frozen=True)
class MotionSettings:
    """How foreground is found.

    Attributes:
        warm_up_s: Seconds during which the background is learned and nothing is observed.
        history_s: Seconds in which a thing that stands still becomes background.
        variance: Squared Mahalanobis distance from which a pixel is foreground.
        shadow: Darkening, 0..1, down to which a pixel of unchanged colour is shadow.
        work_pixels: Frames with more pixels are analysed at a smaller scale.
        min_height_px: Things less tall, in pixels of the source, are not observed.
        moving_share: Share of foreground, 0..1, from which the camera is suspected to move.
        moving_s: The source is refused when it is suspect again so few seconds after a new warm-up.
    """

    warm_up_s: float = 2.0
    history_s: float = 40.0
    variance: float = 20.0
    shadow: float = 0.55
    work_pixels: int = 1_000_000
    min_height_px: int = 32
    moving_share: float = 0.1
    moving_s: float = 2.0


class MotionExtractor:
    """Finds moving people-sized things; an `Extractor`.

    Args:
        settings: See `MotionSettings`.
    """

    settings: ClassVar[type[MotionSettings]] = MotionSettings

    def __init__(self, settings: MotionSettings = MotionSettings()) -> None:
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the background; the next frames are a new warm-up."""
        self._start: float | None = None
        self._last: float | None = None
        self._samples: list[Bytes] = []
        self._model: cv2.BackgroundSubtractorMOG2 | None = None
        self._doubt = _Doubt(self._settings.moving_share)
        self._relearned: float | None = None  # end of the last warm-up that doubt forced

    def __call__(self, frame: Frame) -> list[Observation]:
        """The moving things in a frame, with masks; none while the background is being learned.

        Raises:
            CameraMoving: Much of the picture moves, and went on moving after the background was
                learned anew.
        """
        image = self._work(frame.image)
        elapsed = self._tick(frame.time)
        if self._model is None:
            self._warm_up(image, frame.time)
            return []
        raw = self._model.apply(image, learningRate=min(elapsed / self._settings.history_s, 0.05))
        solid = _solid(np.asarray(raw, np.uint8))
        doubtful_s = self._doubt(image, solid, frame.time)
        if doubtful_s > 0.0:
            if doubtful_s >= _DOUBT_S:
                self._learn_anew(frame.time, cv2.countNonZero(solid) / solid.size)
            return []
        return self._observe(solid, frame.image.shape[0] / image.shape[0], frame.image.shape[:2])

    def _work(self, image: Bytes) -> Bytes:
        """The frame in working size."""
        height, width = image.shape[:2]
        scale = (self._settings.work_pixels / (height * width)) ** 0.5
        if scale >= 1.0:
            return image
        size = (round(width * scale), round(height * scale))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _tick(self, time: float) -> float:
        """Seconds since the frame before."""
        elapsed = 0.0 if self._last is None else max(time - self._last, 0.0)
        self._last = time
        return elapsed

    def _learn_anew(self, time: float, share: float) -> None:
        """Start a new warm-up, unless the one before did not help."""
        if self._relearned is not None and time - self._relearned < self._settings.moving_s:
            raise CameraMoving(
                f"{share:.0%} of the picture moves, as it did before the background was learned anew",
                "a static camera, steady light, and people that fill less of the picture",
                "fix the camera, or use an extractor that needs no background",
            )
        self._model, self._start = None, None
        self._doubt = _Doubt(self._settings.moving_share)
        self._relearned = time + self._settings.warm_up_s

    def _warm_up(self, image: Bytes, time: float) -> None:
        """Collect pictures, spread over the warm-up; at its end, start the mixture from them."""
        if self._start is None:
            self._start = time
        settings = self._settings
        done = (time - self._start) / settings.warm_up_s if settings.warm_up_s > 0 else 1.0
        if len(self._samples) <= done * _SAMPLES:
            self._samples.append(image)
        if done < 1.0:
            return
        model = cv2.createBackgroundSubtractorMOG2(500, settings.variance, True)
        model.setShadowThreshold(settings.shadow)
        # The median is the background wherever people cover a pixel for less than half of the time.
        model.apply(np.median(np.stack(self._samples), axis=0).astype(np.uint8), learningRate=1.0)
        for sample in self._samples:
            model.apply(sample, learningRate=0.02)
        self._model, self._samples = model, []

    def _observe(self, solid: Bytes, scale: float, shape: tuple[int, ...]) -> list[Observation]:
        """The things of the foreground `solid`, in pixels of the source."""
        _, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8, ltype=cv2.CV_16U)
        least = self._settings.min_height_px / scale
        found = []
        for group in _groups(np.asarray(stats, np.int32), least):
            x0, y0 = stats[group, :2].min(axis=0)
            x1, y1 = (stats[group, :2] + stats[group, 2:4]).max(axis=0)
            mask = np.isin(labels[y0:y1, x0:x1], group).astype(np.uint8)
            found.append(_observation(mask, (x0, y0, x1, y1), scale, shape))
        return found


class _Doubt:
    """Tells for how long the foreground has been too much to be people before a static camera."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._probes: deque[tuple[float, NDArray[np.float32]]] = deque()
        self._since: float | None = None

    def __call__(self, image: Bytes, solid: Bytes, time: float) -> float:
        """Seconds of doubt up to this frame: 0 when it can be trusted, more than 0 when not."""
        share = cv2.countNonZero(solid) / solid.size
        if share <= self._share or not (share > 0.5 or (_spread(solid) and self._shifted(image, time))):
            self._since = None
            return 0.0
        self._since = time if self._since is None else self._since
        return max(time - self._since, 1e-6)

    def _shifted(self, image: Bytes, time: float) -> bool:
        """True when the picture as a whole has moved within the last half second."""
        small = cv2.resize(image, _PROBE, interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
        while self._probes and time - self._probes[0][0] > 0.5:
            self._probes.popleft()
        shift = 0.0
        if self._probes:
            window = cv2.createHanningWindow(_PROBE, cv2.CV_32F)
            (dx, dy), _ = cv2.phaseCorrelate(self._probes[0][1], gray, window)
            shift = float(np.hypot(dx, dy))
        self._probes.append((time, gray))
        return shift > 0.5


def _spread(solid: Bytes) -> bool:
    """True when there is foreground all over the picture, not only where a large person is."""
    cells = cv2.resize(solid * np.uint8(255), (8, 6), interpolation=cv2.INTER_AREA)
    return bool((cells > 5).mean() > 0.5)


def _solid(raw: Bytes) -> Bytes:
    """Foreground 0/1 without shadows (127), specks, small holes and strings stretched across."""
    _, sure = cv2.threshold(raw, 200, 1, cv2.THRESH_BINARY)
    clean = cv2.medianBlur(sure, 5)
    closed = cv2.morphologyEx(clean, cv2.MORPH_CLOSE, np.ones((5, 3), np.uint8))
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((5, 1), np.uint8)), np.uint8)


def _groups(stats: NDArray[np.int32], least: float) -> list[NDArray[np.intp]]:
    """Labels of the components that make up one thing each.

    A body of low contrast falls apart at the waist or the knees, so pieces that stand on top of one
    another with a small gap are one thing as long as the whole is no slimmer than a person.
    """
    area = stats[:, cv2.CC_STAT_AREA]
    pieces = [i for i in range(1, len(stats)) if area[i] >= 0.01 * least**2]
    pieces.sort(key=lambda i: -area[i])
    groups: list[list[int]] = []
    boxes: list[list[int]] = []
    for i in pieces:
        x0, y0, width, height = (int(v) for v in stats[i, :4])
        box = [x0, y0, x0 + width, y0 + height]
        home = next((k for k, other in enumerate(boxes) if _stacked(other, box)), None)
        if home is not None and area[i] < 0.04 * area[groups[home][0]]:
            continue  # a speck beside a body is no part of it
        if home is None:
            groups.append([i])
            boxes.append(box)
            continue
        groups[home].append(i)
        low, high = zip(boxes[home][:2], box[:2], strict=True), zip(boxes[home][2:], box[2:], strict=True)
        boxes[home] = [*map(min, low), *map(max, high)]
    return [np.array(g) for g, b in zip(groups, boxes, strict=True) if b[3] - b[1] >= least]


def _stacked(a: list[int], b: list[int]) -> bool:
    """True when box b sits above or below box a, or in it, as a part of the same upright body."""
    shared = min(a[2], b[2]) - max(a[0], b[0])
    if shared < 0.5 * min(a[2] - a[0], b[2] - b[0]):
        return False
    width = max(a[2], b[2]) - min(a[0], b[0])
    height = max(a[3], b[3]) - min(a[1], b[1])
    gap = max(a[1], b[1]) - min(a[3], b[3])
    return gap < 0.12 * height and height < 3.6 * width


def _observation(
    mask: Bytes, box: tuple[int, int, int, int], scale: float, shape: tuple[int, ...]
) -> Observation:
    """An observation in pixels of the source from a mask in working size."""
    if scale != 1.0:
        x0, y0, x1, y1 = (round(v * scale) for v in box)
        box = (x0, y0, min(max(x1, x0 + 1), shape[1]), min(max(y1, y0 + 1), shape[0]))
        size = (box[2] - box[0], box[3] - box[1])
        mask = (cv2.resize(mask * np.uint8(255), size, interpolation=cv2.INTER_LINEAR) > 127).astype(np.uint8)
    height, width = mask.shape
    upright = 1.2 <= height / width <= 5.0 and 0.25 <= mask.mean() <= 0.9
    return Observation(np.array(box, np.float32), mask, confidence=0.9 if upright else 0.4)
