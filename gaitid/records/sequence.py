"""Frames, observations, gait sequences and their quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gaitid.errors import InputError, SequenceError
from gaitid.records.checks import SURROGATE, check_array, frozen

SILHOUETTE = "silhouette"
SKELETON = "skeleton"
SKELETON_3D = "skeleton3d"
SILHOUETTE_SIZES = ((64, 44), (64, 64), (128, 88))
"""Accepted silhouette sizes (height, width); the first is the default."""
JOINTS = 17
"""Joints of a skeleton, in COCO order."""
MAX_FRAMES = 10_000
"""Longest sequence accepted anywhere."""


class Reason(str, Enum):
    """Stable codes that say why a frame or a sequence is not good enough."""

    TOO_SHORT = "too_short"
    """Fewer good frames than needed."""
    TOO_FEW_CYCLES = "too_few_cycles"
    """Fewer gait cycles than needed."""
    TOO_SMALL = "too_small"
    """The body is too few pixels tall."""
    CUT_OFF = "cut_off"
    """The image border or an obstacle cuts the body."""
    MERGED = "merged"
    """Two or more bodies in one silhouette."""
    FRAGMENTED = "fragmented"
    """The silhouette falls apart or has large holes."""
    NOT_PERSON = "not_person"
    """The shape is not that of an upright person."""
    STANDING = "standing"
    """The legs do not move as in walking."""
    LOW_FRAME_RATE = "low_frame_rate"
    """Too few frames a second to see a gait cycle."""
    IRREGULAR = "irregular"
    """Movement without a steady rhythm."""
    MISSING_JOINTS = "missing_joints"
    """Too many joints were not seen."""
    BOX_ONLY = "box_only"
    """The extractor gives a box without a mask or keypoints."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        time: Seconds.
        camera: Name of the camera, may be empty.
        index: Number of the frame in its source, from 0.
    """

    image: NDArray[np.uint8]
    time: float
    camera: str = ""
    index: int = 0

    def __post_init__(self) -> None:
        check_array(self.image, np.uint8, (None, None, 3), "frame image")
        if not np.isfinite(self.time):
            raise InputError(f"frame time is {self.time}", "finite seconds", "check the source's clock")


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One person-like thing in one frame, as an extractor sees it.

    Attributes:
        box: (4,) float32, xyxy pixels in the frame.
        mask: (h, w) uint8 0/1 of the pixels inside the box rounded outwards, or None.
        keypoints: (17, 3) float32 x, y pixels and confidence 0..1, or None.
        confidence: 0..1.
        track: Track id when the extractor tracks on its own, else None.
    """

    box: NDArray[np.float32]
    mask: NDArray[np.uint8] | None = None
    keypoints: NDArray[np.float32] | None = None
    confidence: float = 1.0
    track: int | None = None

    def __post_init__(self) -> None:
        check_array(self.box, np.float32, (4,), "box")
        if not (self.box[2] > self.box[0] and self.box[3] > self.box[1]):
            raise InputError(f"box is {self.box.tolist()}", "x1 < x2 and y1 < y2", "drop empty boxes")
        if self.mask is not None:
            check_array(self.mask, np.uint8, (None, None), "mask")
        if self.keypoints is not None:
            check_array(self.keypoints, np.float32, (JOINTS, 3), "keypoints")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sequence was seen: camera name and track number."""

    camera: str = ""
    track: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.camera, str) or SURROGATE.search(self.camera):
            raise InputError(f"camera is {self.camera!r:.60}", "a text of Unicode", "name it otherwise")
        if not isinstance(self.track, int) or not -(2**63) <= self.track < 2**63:
            raise InputError(
                f"track is {self.track!r:.60}", "an int of 64 bits", "number tracks from 1, as Python ints"
            )


@dataclass(frozen=True, slots=True, eq=False)
class GaitSequence:
    """The good frames of one walk of one person.

    Attributes:
        streams: ``{"silhouette": (T, 64, 44) uint8 0/1, "skeleton": (T, 17, 3) float32,
            "skeleton3d": (T, 17, 4) float32}``, one or more; oldest frame first; skeletons hold x, y
            (pixels or metres) and confidence 0..1, those in space x, y, z (metres, z up, right-handed)
            and confidence.
        times: (T,) float64 seconds, strictly increasing; gaps are frames that were refused.
        boxes: (T, 4) float32 xyxy pixels in the source frame, or None when unknown.
        dropped: Refused frames of the same track, counted by `Reason` value.
        origin: Camera and track.
    """

    streams: Mapping[str, NDArray[Any]]
    times: NDArray[np.float64]
    boxes: NDArray[np.float32] | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    origin: Origin = Origin()

    def __post_init__(self) -> None:
        if not self.streams or set(self.streams) - {SILHOUETTE, SKELETON, SKELETON_3D}:
            raise SequenceError(
                f"streams are {sorted(self.streams)}",
                "one or more of silhouette, skeleton, skeleton3d",
                "rename or add a stream",
            )
        if SILHOUETTE in self.streams:
            _check_silhouettes(self.streams[SILHOUETTE])
        if SKELETON in self.streams:
            _check_skeletons(self.streams[SKELETON], SKELETON)
        if SKELETON_3D in self.streams:
            _check_skeletons(self.streams[SKELETON_3D], SKELETON_3D)
        _check_times(self.times)
        for name, stream in self.streams.items():
            if len(stream) != len(self.times):
                raise SequenceError(
                    f"{name} has {len(stream)} frames, times {len(self.times)}",
                    "equal lengths",
                    "cut the longer",
                )
        if self.boxes is not None:
            check_array(self.boxes, np.float32, (len(self.times), 4), "boxes", SequenceError)
            if not np.isfinite(self.boxes).all():
                raise SequenceError(
                    "boxes have NaN or infinity", "finite pixels", "leave boxes out if unknown"
                )
        _check_dropped(self.dropped)
        object.__setattr__(self, "streams", MappingProxyType({k: frozen(v) for k, v in self.streams.items()}))
        object.__setattr__(self, "dropped", MappingProxyType(dict(self.dropped)))
        object.__setattr__(self, "times", frozen(self.times))
        if self.boxes is not None:
            object.__setattr__(self, "boxes", frozen(self.boxes))

    def __len__(self) -> int:
        return len(self.times)

    @property
    def silhouettes(self) -> NDArray[np.uint8] | None:
        """(T, H, W) uint8 0/1, or None."""
        return self.streams.get(SILHOUETTE)

    @property
    def skeletons(self) -> NDArray[np.float32] | None:
        """(T, 17, 3) float32, or None."""
        return self.streams.get(SKELETON)

    @property
    def skeletons_3d(self) -> NDArray[np.float32] | None:
        """(T, 17, 4) float32, or None."""
        return self.streams.get(SKELETON_3D)

    def part(self, frames: slice | NDArray[np.intp]) -> GaitSequence:
        """The chosen frames as a sequence of its own; the count of dropped frames is kept."""
        return GaitSequence(
            {name: stream[frames] for name, stream in self.streams.items()},
            self.times[frames],
            None if self.boxes is None else self.boxes[frames],
            self.dropped,
            self.origin,
        )


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a sequence can be recognised.

    Attributes:
        score: 0..100, higher is better (scale of ISO/IEC 29794-1; not certified).
        frames: Good frames.
        cycles: Whole gait cycles (two steps each) seen.
        cadence: Steps a minute; 0 when no rhythm was found.
        height_px: Median body height in source pixels; 0 when unknown.
        frame_rate: Median frames a second; 0 for a single frame.
        regularity: 0..1, likeness of one stride to the next.
        symmetry: 0..1, likeness of left steps to right steps.
        reasons: Why it is not good enough; empty when it is.
    """

    score: float
    frames: int
    cycles: float = 0.0
    cadence: float = 0.0
    height_px: float = 0.0
    frame_rate: float = 0.0
    regularity: float = 0.0
    symmetry: float = 0.0
    reasons: tuple[Reason, ...] = ()

    @property
    def usable(self) -> bool:
        """True when no reason speaks against embedding the sequence."""
        return not self.reasons


def _check_silhouettes(array: Any) -> None:
    check_array(array, np.uint8, (None, None, None), SILHOUETTE, SequenceError)
    if array.shape[1:] not in SILHOUETTE_SIZES:
        sizes = " or ".join(f"{h}x{w}" for h, w in SILHOUETTE_SIZES)
        raise SequenceError(
            f"silhouettes are {array.shape[1]}x{array.shape[2]}", sizes, "use perception.align"
        )
    if array.size and int(array.max()) > 1:
        raise SequenceError(
            f"silhouettes have the value {int(array.max())}",
            "only 0 and 1",
            "use (image > 127).astype(np.uint8)",
        )


def _check_skeletons(array: Any, stream: str) -> None:
    numbers = 4 if stream == SKELETON_3D else 3
    check_array(array, np.float32, (None, JOINTS, numbers), stream, SequenceError)
    if not np.isfinite(array).all():
        frame = int(np.argwhere(~np.isfinite(array))[0][0])
        raise SequenceError(
            f"skeleton has NaN or infinity, first in frame {frame}",
            "finite numbers",
            "mark a missing joint by confidence 0 and coordinates 0",
        )
    confidence = array[..., -1]
    if array.size and not (confidence.min() >= 0.0 and confidence.max() <= 1.0):
        raise SequenceError(
            f"skeleton confidence spans {confidence.min():.3g}..{confidence.max():.3g}",
            "0..1",
            "rescale it",
        )


def _check_times(times: Any) -> None:
    check_array(times, np.float64, (None,), "times", SequenceError)
    if not 0 < len(times) <= MAX_FRAMES:
        raise SequenceError(f"sequence has {len(times)} frames", f"1 to {MAX_FRAMES}", "cut or record again")
    if not np.isfinite(times).all():
        raise SequenceError("times have NaN or infinity", "finite seconds", "check the source's clock")
    if (np.diff(times) <= 0).any():
        at = int(np.argmax(np.diff(times) <= 0))
        raise SequenceError(
            f"times do not grow after frame {at}", "strictly increasing", "sort or drop frames"
        )


def _check_dropped(dropped: Mapping[str, int]) -> None:
    if not isinstance(dropped, Mapping):
        raise SequenceError(f"dropped is a {type(dropped).__name__}", "a mapping", "use {reason: count}")
    known = {reason.value for reason in Reason} if dropped else ()
    for key, count in dropped.items():
        if key not in known or type(count) is not int or count < 0:
            raise SequenceError(
                f"dropped has {key!r}: {count!r}", "reason codes with counts >= 0", "see Reason"
            )
