"""The ``motion`` extractor: people as moving foreground before the background of a static camera.

Source: Zivkovic 2004 (adaptive Gaussian mixture, with shadow detection after Prati et al. 2003), as in
OpenCV's MOG2. Ours is the rest: the mixture starts from the median of a warm-up, so people who walk
through it leave no ghosts; a recording is read ahead for it, so nothing is lost to the
warm-up; a change of light starts a new warm-up; and a moving camera is refused.

The constants were chosen on the street video vtest.avi (768x576, 10 frames/s) unless another source is named;
`benchmarks/perception.py` reports the agreement with frames labelled by eye.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.errors import CameraMoving
from gaitid.records import Frame, Observation

Bytes = NDArray[np.uint8]

_SAMPLES = 25
"""Pictures kept of the warm-up; their median is exact to a few gray levels."""
_FEWEST_SAMPLES = 8
"""Pictures of a recording from which the background is learned; fewer may show people in the median."""
_MOST_RATE = 0.05
"""Highest learning rate of the mixture a frame, however long the frame before is past."""
_SAMPLE_RATE = 0.02
"""Learning rate of the mixture for the pictures of the warm-up, which give it its variance."""
_HISTORY = 500
"""Frames of MOG2's own history; every call names its learning rate, so it has no effect."""
_FOREGROUND = 200
"""Pixel value above which MOG2 means foreground; it marks shadows by 127."""

_PROBE = (96, 72)
"""Width and height, pixels, at which the shift of the whole picture is measured."""
_PROBE_S = 0.5
"""Seconds over which it is measured."""
_SHIFT_PX = 0.5
"""Shift at that size, pixels, from which the picture as a whole has moved."""
_MOST_SHARE = 0.5
"""Share of foreground from which the picture is in doubt even without a shift: the light changed."""
_CELLS, _CELL_LEVEL, _CELL_SHARE = (8, 6), 5, 0.5
"""Grid of cells, gray level (0..255) from which a cell has foreground, and share of such cells from which
foreground is all over the picture."""
_DOUBT_S = 0.3
"""Seconds of doubt that start a new warm-up; a flash is shorter."""

_UPRIGHT, _FULL = (1.2, 5.0), (0.25, 0.9)
"""Height over width, and share of the box covered, of a sure observation."""
_SURE, _UNSURE = 0.9, 0.4
"""Confidence of an observation with the shape of an upright body, and of any other."""
_LEAST_PIECE = 0.01
"""Least area of a piece, in squares of the least height of a body."""
_SPECK = 0.04
"""Share of the largest piece's area below which a piece beside a body is no part of it."""
_STACK_SHARE, _STACK_GAP, _STACK_ASPECT = 0.5, 0.12, 3.6
"""Two pieces are one body if they share this much of the narrower one's width, if the gap between them is
less than this share of their joint height, and if their joint height over width is less than this."""


@dataclass(frozen=True)
class MotionSettings:
    """Settings of the ``motion`` extractor; in TOML the table ``[perception.motion]``.

    Attributes:
        warm_up_s: Seconds of a live source in which the background is learned and nothing is observed.
        short_s: Longest recording, seconds, whose background is learned from all of it beforehand. Of a
            longer one, the first `warm_up_s` seconds are learned from, and then observed too.
        history_s: Seconds after which a stationary object becomes background.
        variance: Squared Mahalanobis distance from which a pixel is foreground.
        shadow: Darkening, 0..1, down to which a pixel of unchanged colour is shadow.
        work_pixels: Frames with more pixels are scaled down to this many.
        min_height_px: Least height of an observation, pixels of the source.
        moving_share: Share of foreground, 0..1, from which the camera may be moving.
        moving_s: Seconds after a new warm-up within which the source is refused if that happens again.
    """

    warm_up_s: float = 2.0
    short_s: float = 30.0
    history_s: float = 40.0
    variance: float = 20.0
    shadow: float = 0.55
    work_pixels: int = 1_000_000
    min_height_px: int = 32
    moving_share: float = 0.1
    moving_s: float = 2.0


class MotionExtractor:
    """Finds moving objects of the size of people; an `Extractor`.

    Args:
        settings: See `MotionSettings`.
    """

    settings: ClassVar[type[MotionSettings]] = MotionSettings
    static_camera: ClassVar[bool] = True

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

    @property
    def is_ready(self) -> bool:
        """Whether the background is known."""
        return self._model is not None

    def learn(self, frames: Iterable[Frame]) -> None:
        """Learn the background of a recording before it is observed, in place of a warm-up.

        A recording of up to `short_s` seconds is learned from as a whole, so who stands in it at first is no
        background; of a longer one the first `warm_up_s` seconds are, since its background changes.

        Args:
            frames: The recording from its beginning; fewer than 8 change nothing.
        """
        settings, every, start = self._settings, 1, None
        early: list[Bytes] = []
        samples: list[Bytes] = []
        for index, frame in enumerate(frames):
            start = frame.time if start is None else start
            elapsed = frame.time - start
            if elapsed > settings.short_s:
                samples = early
                break
            wanted = len(early) * settings.warm_up_s <= elapsed * _SAMPLES and elapsed <= settings.warm_up_s
            if wanted or index % every == 0:
                image = self._work(frame.image).copy()
                early += [image] * wanted
                samples += [image] * (index % every == 0)
            if len(samples) > 2 * _SAMPLES:
                samples, every = samples[::2], 2 * every
        if len(samples) >= _FEWEST_SAMPLES:
            self._begin(samples)

    def __call__(self, frame: Frame) -> list[Observation]:
        """Return the moving objects in a frame, with masks; none while the background is being learned.

        Raises:
            CameraMoving: Much of the picture moves, and still does after a new warm-up.
        """
        image = self._work(frame.image)
        elapsed = self._tick(frame.time)
        if self._model is None:
            self._warm_up(image, frame.time)
            return []
        raw = self._model.apply(image, learningRate=min(elapsed / self._settings.history_s, _MOST_RATE))
        solid = _solid(np.asarray(raw, np.uint8))
        doubtful_s = self._doubt(image, solid, frame.time)
        if doubtful_s > 0.0:
            if doubtful_s >= _DOUBT_S:
                self._relearn(frame.time, cv2.countNonZero(solid) / solid.size)
            return []
        return self._observe(solid, frame.image.shape[0] / image.shape[0], frame.image.shape[:2])

    def _work(self, image: Bytes) -> Bytes:
        """Scale the frame down to the working size."""
        height, width = image.shape[:2]
        scale = (self._settings.work_pixels / (height * width)) ** 0.5
        if scale >= 1.0:
            return image
        size = (round(width * scale), round(height * scale))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _tick(self, time: float) -> float:
        """Return the seconds since the frame before."""
        elapsed = 0.0 if self._last is None else max(time - self._last, 0.0)
        self._last = time
        return elapsed

    def _relearn(self, time: float, share: float) -> None:
        """Start a new warm-up, or refuse the source if the one before did not help."""
        if self._relearned is not None and time - self._relearned < self._settings.moving_s:
            raise CameraMoving(
                f"Moving pixels are {share:.0%} of the picture, again after a new warm-up",
                "a static camera, steady light, and people who fill less of the picture",
                "Mount the camera firmly, or choose --extractor person (pip install 'gaitid[person]')",
            )
        self._model, self._start = None, None
        self._doubt = _Doubt(self._settings.moving_share)
        self._relearned = time + self._settings.warm_up_s

    def _warm_up(self, image: Bytes, time: float) -> None:
        """Collect pictures spread over the warm-up; at its end, start the mixture from them."""
        if self._start is None:
            self._start = time
        settings = self._settings
        done = (time - self._start) / settings.warm_up_s if settings.warm_up_s > 0 else 1.0
        if len(self._samples) <= done * _SAMPLES:
            self._samples.append(image)
        if done >= 1.0:
            self._begin(self._samples)

    def _begin(self, samples: list[Bytes]) -> None:
        """Start the mixture from pictures of the background."""
        settings = self._settings
        model = cv2.createBackgroundSubtractorMOG2(_HISTORY, settings.variance, True)
        model.setShadowThreshold(settings.shadow)
        # The median is the background where people cover a pixel for less than half of the time.
        model.apply(np.median(np.stack(samples), axis=0).astype(np.uint8), learningRate=1.0)
        for sample in samples:
            model.apply(sample, learningRate=_SAMPLE_RATE)
        self._model, self._samples = model, []

    def _observe(self, solid: Bytes, scale: float, shape: tuple[int, ...]) -> list[Observation]:
        """Return the objects of the foreground `solid`, in pixels of the source."""
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
    """Measures for how long the foreground has been too much for people before a static camera."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._probes: deque[tuple[float, NDArray[np.float32]]] = deque()
        self._since: float | None = None

    def __call__(self, image: Bytes, solid: Bytes, time: float) -> float:
        """Return the seconds of doubt up to this frame; 0 if the frame can be trusted."""
        share = cv2.countNonZero(solid) / solid.size
        if share <= self._share or not (
            share > _MOST_SHARE or (_spread(solid) and self._shifted(image, time))
        ):
            self._since = None
            return 0.0
        self._since = time if self._since is None else self._since
        return max(time - self._since, 1e-6)

    def _shifted(self, image: Bytes, time: float) -> bool:
        """Return whether the picture as a whole has moved within the last half second."""
        small = cv2.resize(image, _PROBE, interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
        while self._probes and time - self._probes[0][0] > _PROBE_S:
            self._probes.popleft()
        shift = 0.0
        if self._probes:
            window = cv2.createHanningWindow(_PROBE, cv2.CV_32F)
            (dx, dy), _ = cv2.phaseCorrelate(self._probes[0][1], gray, window)
            shift = float(np.hypot(dx, dy))
        self._probes.append((time, gray))
        return shift > _SHIFT_PX


def _spread(solid: Bytes) -> bool:
    """Return whether foreground is all over the picture, not only where one large person is."""
    cells = cv2.resize(solid * np.uint8(255), _CELLS, interpolation=cv2.INTER_AREA)
    return bool((cells > _CELL_LEVEL).mean() > _CELL_SHARE)


def _solid(raw: Bytes) -> Bytes:
    """Return the foreground 0/1 without shadows, specks, small holes and thin horizontal lines."""
    _, sure = cv2.threshold(raw, _FOREGROUND, 1, cv2.THRESH_BINARY)
    clean = cv2.medianBlur(sure, 5)
    closed = cv2.morphologyEx(clean, cv2.MORPH_CLOSE, np.ones((5, 3), np.uint8))
    return np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((5, 1), np.uint8)), np.uint8)


def _groups(stats: NDArray[np.int32], least: float) -> list[NDArray[np.intp]]:
    """Return the labels of the components that make up one object each.

    A body of low contrast falls apart at the waist or the knees. Pieces that stand on top of one another
    with a small gap are therefore one object, unless the whole is slimmer than a person.
    """
    area = stats[:, cv2.CC_STAT_AREA]
    pieces = [i for i in range(1, len(stats)) if area[i] >= _LEAST_PIECE * least**2]
    pieces.sort(key=lambda i: -area[i])
    groups: list[list[int]] = []
    boxes: list[list[int]] = []
    for i in pieces:
        x0, y0, width, height = (int(v) for v in stats[i, :4])
        box = [x0, y0, x0 + width, y0 + height]
        home = next((k for k, other in enumerate(boxes) if _stacked(other, box)), None)
        if home is not None and area[i] < _SPECK * area[groups[home][0]]:
            continue
        if home is None:
            groups.append([i])
            boxes.append(box)
            continue
        groups[home].append(i)
        low, high = zip(boxes[home][:2], box[:2], strict=True), zip(boxes[home][2:], box[2:], strict=True)
        boxes[home] = [*map(min, low), *map(max, high)]
    return [np.array(g) for g, b in zip(groups, boxes, strict=True) if b[3] - b[1] >= least]


def _stacked(a: list[int], b: list[int]) -> bool:
    """Return whether box b lies above, below or in box a as a part of the same upright body."""
    shared = min(a[2], b[2]) - max(a[0], b[0])
    if shared < _STACK_SHARE * min(a[2] - a[0], b[2] - b[0]):
        return False
    width = max(a[2], b[2]) - min(a[0], b[0])
    height = max(a[3], b[3]) - min(a[1], b[1])
    gap = max(a[1], b[1]) - min(a[3], b[3])
    return gap < _STACK_GAP * height and height < _STACK_ASPECT * width


def _observation(
    mask: Bytes, box: tuple[int, int, int, int], scale: float, shape: tuple[int, ...]
) -> Observation:
    """Make an observation in pixels of the source from a mask in working size."""
    if scale != 1.0:
        x0, y0, x1, y1 = (round(v * scale) for v in box)
        box = (x0, y0, min(max(x1, x0 + 1), shape[1]), min(max(y1, y0 + 1), shape[0]))
        size = (box[2] - box[0], box[3] - box[1])
        mask = (cv2.resize(mask * np.uint8(255), size, interpolation=cv2.INTER_LINEAR) > 127).astype(np.uint8)
    height, width = mask.shape
    upright = _UPRIGHT[0] <= height / width <= _UPRIGHT[1] and _FULL[0] <= mask.mean() <= _FULL[1]
    return Observation(np.array(box, np.float32), mask, confidence=_SURE if upright else _UNSURE)
