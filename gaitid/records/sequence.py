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
from gaitid.modalities.arrays import MAX_FRAMES as MAX_FRAMES
from gaitid.modalities.arrays import check_array, check_finite, frozen
from gaitid.modalities.silhouette import SILHOUETTE as SILHOUETTE
from gaitid.modalities.silhouette import SILHOUETTE_GRAY as SILHOUETTE_GRAY
from gaitid.modalities.silhouette import SILHOUETTE_SIZES as SILHOUETTE_SIZES
from gaitid.modalities.skeleton import JOINTS as JOINTS
from gaitid.modalities.skeleton import SKELETON as SKELETON
from gaitid.modalities.skeleton import SKELETON_3D as SKELETON_3D
from gaitid.modalities.streams import STREAMS


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
    """Two or more bodies in one silhouette or skeleton."""
    FRAGMENTED = "fragmented"
    """The silhouette falls apart, has large holes or is missing."""
    NOT_PERSON = "not_person"
    """The shape is not that of an upright person."""
    STANDING = "standing"
    """The legs do not move as in walking."""
    LOW_FRAME_RATE = "low_frame_rate"
    """Too few frames a second to show a gait cycle."""
    IRREGULAR = "irregular"
    """The movement has no steady rhythm."""
    MISSING_JOINTS = "missing_joints"
    """Too many joints were not seen."""
    BOX_ONLY = "box_only"
    """The extractor gives a box without a mask or keypoints."""


PARTIAL = frozenset({Reason.MISSING_JOINTS})
"""Reasons that lower the score and do not rule a sequence out: what is seen of the body may be enough."""


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
        check_array(self.image, np.uint8, (None, None, 3), "image")
        if not np.isfinite(self.time):
            raise InputError(f"Frame time is {self.time}", "finite seconds", "Check the clock of the source")


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One person-like object in one frame, as an extractor sees it.

    Attributes:
        box: (4,) float32, xyxy pixels in the frame.
        mask: (h, w) uint8 0/1 of the pixels inside the box rounded outwards, or None.
        keypoints: (17, 3) float32 x, y pixels in the frame and confidence 0..1, in COCO order, or None.
        confidence: 0..1.
        track: Track id if the extractor tracks on its own, else None.
    """

    box: NDArray[np.float32]
    mask: NDArray[np.uint8] | None = None
    keypoints: NDArray[np.float32] | None = None
    confidence: float = 1.0
    track: int | None = None

    def __post_init__(self) -> None:
        check_array(self.box, np.float32, (4,), "box")
        if not (self.box[2] > self.box[0] and self.box[3] > self.box[1]):
            raise InputError(
                f"Box is {self.box.tolist()}", "x1 < x2 and y1 < y2", "Drop empty boxes in the extractor"
            )
        if self.mask is not None:
            check_array(self.mask, np.uint8, (None, None), "mask")
        if self.keypoints is not None:
            check_array(self.keypoints, np.float32, (JOINTS, 3), "keypoints")
            check_finite(self.keypoints, "keypoints", "Mark a missing joint by confidence 0")


MAX_CAMERA = 128
"""Longest name of a camera, characters."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Camera and track number that a sequence comes from."""

    camera: str = ""
    track: int = 0

    def __post_init__(self) -> None:
        text = self.camera
        if not isinstance(text, str) or len(text) > MAX_CAMERA or not text.isprintable():
            raise InputError(
                f"Camera is {text!r:.60}",
                f"printable text of at most {MAX_CAMERA} characters",
                "Rename the camera",
            )
        if not isinstance(self.track, int) or not -(2**63) <= self.track < 2**63:
            raise InputError(
                f"Track is {self.track!r:.60}", "an int of 64 bits", "Number tracks from 1 with Python ints"
            )


@dataclass(frozen=True, slots=True, eq=False)
class GaitSequence:
    """The good frames of one walk of one person.

    Attributes:
        streams: One or more of ``{"silhouette": (T, 64, 44) uint8 0/1, "skeleton": (T, 17, 3) float32,
            "skeleton3d": (T, 17, 4) float32}``, oldest frame first. Skeletons have x, y (pixels or metres)
            and confidence 0..1; those in space have x, y, z (metres, z up, right-handed) and confidence.
            Sequences of data sets may have ``"silhouette_gray": (T, 64, 44) uint8 0..255``, too.
        times: (T,) float64 seconds, strictly increasing; a gap is a refused frame.
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
        if not self.streams or set(self.streams) - set(STREAMS):
            raise SequenceError(
                f"Streams are {sorted(self.streams)}",
                f"one or more of {', '.join(STREAMS)}",
                "Rename or add a stream",
            )
        for name, array in self.streams.items():
            STREAMS[name].check(array)
        _check_times(self.times)
        for name, array in self.streams.items():
            if len(array) != len(self.times):
                raise SequenceError(
                    f"Stream {name} has {len(array)} frames, times {len(self.times)}",
                    "equal lengths",
                    "Cut the longer one",
                )
        if self.boxes is not None:
            check_array(self.boxes, np.float32, (len(self.times), 4), "boxes", SequenceError)
            check_finite(self.boxes, "boxes", "Leave boxes out if they are unknown", SequenceError)
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
        """Return the chosen frames as a sequence; it keeps the counts of dropped frames."""
        return GaitSequence(
            {name: stream[frames] for name, stream in self.streams.items()},
            self.times[frames],
            None if self.boxes is None else self.boxes[frames],
            self.dropped,
            self.origin,
        )


_STRIDES_COMPARED = 2.0
"""Gait cycles from which one stride can be compared with the next."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a sequence can be recognised.

    A measure that is 0 may be unknown: `unknown` says which are and why, and `measures` has None for them.

    Attributes:
        score: 0..100, higher is better (scale of ISO/IEC 29794-1; not certified).
        frames: Good frames.
        cycles: Gait cycles (two steps each) seen; 0 when no rhythm was found.
        cadence: Steps a minute; 0 when no rhythm was found.
        height_px: Median body height in source pixels; 0 when unknown.
        frame_rate: Median frames a second; 0 for a single frame.
        regularity: 0..1, similarity of one stride to the next; 0 when unknown.
        symmetry: 0..1, similarity of left steps to right steps; 0 when unknown.
        reasons: What speaks against it; those of `PARTIAL` only lower the score.
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
        """True if no reason rules out to embed the sequence; those of `PARTIAL` do not."""
        return not set(self.reasons) - PARTIAL

    @property
    def unknown(self) -> dict[str, str]:
        """The measures that are unknown, by name, each with the reason."""
        no_rhythm = "no rhythm" if self.frames > 1 else "one frame"
        if not self.cadence:
            found = dict.fromkeys(("cycles", "cadence", "regularity", "symmetry"), no_rhythm)
        else:
            view = "the view shows one leg more than the other"
            short = "fewer than two gait cycles" if self.cycles < _STRIDES_COMPARED else ""
            found = {} if self.regularity else {"regularity": short or "strides differ"}
            found |= {} if self.symmetry else {"symmetry": short or view}
        found |= {} if self.height_px else {"height_px": "no boxes"}
        return found | ({} if self.frame_rate else {"frame_rate": "one frame"})

    def measures(self) -> dict[str, Any]:
        """Return every attribute by name for JSON; None for what is unknown, reasons as their codes."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return facts | dict.fromkeys(self.unknown) | {"reasons": [reason.value for reason in self.reasons]}


def _check_times(times: Any) -> None:
    check_array(times, np.float64, (None,), "times", SequenceError)
    if not 0 < len(times) <= MAX_FRAMES:
        raise SequenceError(
            f"Sequence has {len(times)} frames", f"1 to {MAX_FRAMES} frames", "Split it or record it again"
        )
    check_finite(times, "times", "Check the clock of the source", SequenceError)
    if (np.diff(times) <= 0).any():
        at = int(np.argmax(np.diff(times) <= 0))
        raise SequenceError(
            f"Times do not grow after frame {at}", "strictly increasing seconds", "Sort or drop frames"
        )


def _check_dropped(dropped: Mapping[str, int]) -> None:
    if not isinstance(dropped, Mapping):
        raise SequenceError(
            f"Argument dropped is a {type(dropped).__name__}",
            "a mapping",
            "Pass {reason: count} or leave it out",
        )
    known = {reason.value for reason in Reason} if dropped else ()
    for key, count in dropped.items():
        if key not in known or type(count) is not int or count < 0:
            raise SequenceError(
                f"Argument dropped has {key!r}: {count!r}",
                "reason codes with counts of 0 or more",
                "Use the values of gaitid.records.Reason as keys",
            )
