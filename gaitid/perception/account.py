"""An account of what a source showed: why nothing usable came of it, and what to change.

Pictures are looked at twice a second, in a small size, which costs about a millisecond each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from gaitid.perception.pipeline import FrameView
from gaitid.perception.precomputed.recording import RecordedFrame
from gaitid.perception.sources import redact
from gaitid.perception.walks import Walk
from gaitid.quality import QualityPolicy, assess
from gaitid.records import Reason

_LOOK_S = 0.5
"""Seconds between two pictures that are looked at."""
_SIZE = (96, 72)
"""Width and height, pixels, at which they are."""
_DARK, _FLAT = 16.0, 3.0
"""Mean gray level, 0..255, below which a picture is dark, and standard deviation below which it is of one
colour; a scene at night with infrared light has means above 30."""
_SHIFT_PX, _SHIFTED_SHARE = 0.7, 0.3
"""Shift at that size, pixels, of a picture against the one before, and share of such pictures from which the
camera moves."""
_CHANGE = 12
"""Gray levels by which a pixel of two looks differs; noise of coded video at that size is below 6."""
_SHORT_S = 3.0
"""Seconds below which a recording is too short for a walk: one and a half gait cycles and some margin."""
_PLACE_S, _PLACE = 4.0, (0.25, 0.15)
"""Seconds of walks, and shares of width and height within which their feet stay, of walking in one place."""
_BY_FRAMES = 0.5
"""Share of refused frames from which these, and not the quality of the rest, say what is wrong."""


class Finding(NamedTuple):
    """One sentence in the three parts of an error: what was seen, what is needed, what to change."""

    got: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.got}; expected {self.expected}. {self.remedy}."


_REMEDIES: dict[Reason, tuple[str, str, str]] = {
    Reason.TOO_SHORT: ("have too few good frames", "at least 20", "Record longer walks in full view"),
    Reason.TOO_FEW_CYCLES: (
        "have too few gait cycles",
        "at least one and a half (three steps)",
        "Record longer walks, or let the camera see a longer stretch",
    ),
    Reason.TOO_SMALL: (
        "show bodies too few pixels tall",
        "at least 48 pixels",
        "Bring the camera nearer, zoom in, or record at a higher resolution",
    ),
    Reason.CUT_OFF: (
        "show bodies cut off by the border or an obstacle",
        "whole bodies from head to feet",
        "Turn the camera or move it back until walkers are seen whole",
    ),
    Reason.MERGED: (
        "show several people as one",
        "one person in each outline",
        "Choose an extractor that separates people with --extractor, or film them one at a time",
    ),
    Reason.FRAGMENTED: (
        "show bodies that fall apart",
        "outlines of whole bodies",
        "Let clothes and background differ more, add light, or choose another extractor with --extractor",
    ),
    Reason.NOT_PERSON: (
        "are of other shapes than an upright person",
        "people on foot, seen from the height of a person or a little above",
        "Turn the camera to where people walk, or choose another extractor with --extractor",
    ),
    Reason.STANDING: (
        "stand or hardly move",
        "people who walk through the picture",
        "Turn the camera to where people walk",
    ),
    Reason.LOW_FRAME_RATE: (
        "have too few frames a second",
        "at least 8",
        "Set the camera or the recorder to 10 to 30 frames a second",
    ),
    Reason.IRREGULAR: (
        "have no steady rhythm",
        "people who walk at an even pace",
        "Film people who walk, or an area without steps and obstacles",
    ),
    Reason.MISSING_JOINTS: (
        "lack joints of the legs",
        "hips, knees and ankles in view",
        "Turn the camera or move it back until legs are seen whole",
    ),
    Reason.BOX_ONLY: (
        "are boxes alone",
        "masks or keypoints",
        "Choose an extractor that gives masks or keypoints with --extractor",
    ),
}


_NOBODY = (
    "masks or keypoints of a person who walks",
    "Check that the program that made them saw the person, and that masks are white on black",
)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A walk in a few numbers: its frames, seconds, why it is not usable, and its height in pixels."""

    frames: int
    seconds: float
    reason: Reason
    height: float


class Account:
    """Notes what a source shows while it is watched.

    Args:
        static_camera: Whether the extractor needs a static camera, so that a moving one, or a body that stays
            in one place, may be why it found nothing.

    Attributes:
        frames: Number of frames so far.
    """

    def __init__(self, *, static_camera: bool = True) -> None:
        self._static_camera = static_camera
        self.frames = 0
        self._first = self._last = 0.0
        self._size = (0, 0)
        self._looked: NDArray[np.float32] | None = None
        self._look_at = -np.inf
        self._means: list[float] = []
        self._spreads: list[float] = []
        self._shifted: list[bool] = []
        self._changes = np.zeros(_SIZE[::-1], int)
        self._changing: list[bool] = []
        self._feet: list[NDArray[np.float32]] = []
        self._tracks: set[int] = set()
        self._boxes_alone = False
        self._stretches: list[_Stretch] = []

    def over(self, views: Iterable[FrameView]) -> Iterator[FrameView]:
        """Yield the views and note each."""
        for view in views:
            self.note(view)
            yield view

    def note(self, view: FrameView) -> None:
        """Note a view of the source, in the order of `watch`."""
        frame = view.frame
        if not self.frames:
            self._first = frame.time
        self._last = max(self._last, frame.time)
        self.frames = frame.index + 1
        self._size = (frame.image.shape[1], frame.image.shape[0])
        if frame.time - self._look_at >= _LOOK_S and not isinstance(frame, RecordedFrame):
            self._look_at = frame.time
            self._look(frame.image)
        self._tracks.update(track.id for track in view.tracks)
        self._boxes_alone |= any(Reason.BOX_ONLY in track.reasons for track in view.tracks)
        for walk in view.walks:
            self._stretches.append(_stretch(walk))
            self._feet.append(np.stack([walk.boxes[:, ::2].mean(axis=1), walk.boxes[:, 3]], axis=1))

    def finding(self, source: str) -> Finding:
        """Say in one sentence why the source gave nothing usable.

        Args:
            source: How the sentence names it; credentials are left out.
        """
        source = redact(source)
        return self._of_recording(source) or self._of_picture(source) or self._of_walks(source)

    def _look(self, image: NDArray[np.uint8]) -> None:
        small = cv2.resize(image, _SIZE, interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).astype(np.float32)
        self._means.append(float(gray.mean()))
        self._spreads.append(float(gray.std()))
        if self._looked is not None:
            changed = np.abs(gray - self._looked) > _CHANGE
            self._changes += changed
            self._changing.append(bool(changed.any()))
            window = cv2.createHanningWindow(_SIZE, cv2.CV_32F)
            # OpenCV 5.0 multiplies both pictures by the window in place.
            (dx, dy), _ = cv2.phaseCorrelate(self._looked.copy(), gray.copy(), window)
            seen = self._spreads[-1] > _FLAT  # a picture of one colour has no shift
            self._shifted.append(seen and float(np.hypot(dx, dy)) > _SHIFT_PX)
        self._looked = gray

    @property
    def _seconds(self) -> float:
        return self._last - self._first

    @property
    def _rate(self) -> float:
        """Mean frames a second; 0 for a single frame."""
        return (self.frames - 1) / self._seconds if self._seconds > 0 else 0.0

    def _of_recording(self, source: str) -> Finding | None:
        """What is wrong with the recording as such."""
        if self.frames <= 1:
            return Finding(
                f"{source} is a still of {self.frames} frame(s)",
                "video of a walk",
                "Record some seconds of a person who walks",
            )
        least = QualityPolicy().min_frame_rate
        if self._rate < least:
            return Finding(
                f"{source} has {self._rate:.3g} frames a second",
                f"at least {least:g}, because a step takes half a second",
                "Set the camera or the recorder to 10 to 30 frames a second",
            )
        if self._seconds < _SHORT_S:
            return Finding(
                f"{source} lasts {self._seconds:.1f} s",
                f"at least {_SHORT_S:g} s with a person who walks through the picture",
                "Record longer",
            )
        return None

    def _of_picture(self, source: str) -> Finding | None:
        """What is wrong with the pictures, apart from people."""
        if not self._means:  # a recording of masks or keypoints
            return None if self._tracks else Finding(f"{source} shows nobody", *_NOBODY)
        if not self._tracks and max(self._means) < _DARK:
            return Finding(
                f"{source} is black",
                "a lit scene",
                "Uncover the lens or add light; for interlaced video run pip install 'gaitid[video]'",
            )
        if not self._tracks and max(self._spreads) < _FLAT:
            return Finding(
                f"{source} shows pictures of a single colour",
                "a scene",
                "Check the recording in a player; for interlaced video run pip install 'gaitid[video]'",
            )
        return self._of_movement(source) if self._static_camera else None

    def _of_movement(self, source: str) -> Finding | None:
        """What is wrong with the movement in the pictures, for an extractor that looks at nothing else."""
        if self._shifted and np.mean(self._shifted) > _SHIFTED_SHARE:
            return Finding(
                f"The camera of {source} moves during {np.mean(self._shifted):.0%} of the time",
                "a camera that stands still",
                "Mount the camera firmly, or choose an extractor that needs no background with --extractor",
            )
        if not self._tracks and not any(self._changing):
            return Finding(
                f"Nothing moves in the {self._seconds:.0f} s of {source}",
                "a person who walks through the picture",
                "Record while somebody walks, and check that the recording plays",
            )
        return None

    def _of_walks(self, source: str) -> Finding:
        """What is wrong with the tracks and walks."""
        if not self._stretches and self._boxes_alone:
            what, expected, remedy = _REMEDIES[Reason.BOX_ONLY]
            return Finding(f"The {len(self._tracks)} tracks of {source} {what}", expected, remedy)
        if not self._stretches and not self._static_camera:
            return Finding(
                f"No person is tracked in the {self._seconds:.0f} s of {source}",
                "people at least 48 pixels tall who walk through the picture",
                "Bring the camera nearer or zoom in, or choose another extractor with --extractor",
            )
        if not self._stretches and not self._changes_in_place():
            return Finding(
                f"Nothing in the {self._seconds:.0f} s of {source} moves in the size and shape of a person",
                "people at least 48 pixels tall who walk through the picture",
                "Bring the camera nearer or zoom in, or choose another extractor with --extractor",
            )
        if not self._stretches or (self._static_camera and self._in_place()):
            return Finding(
                f"What moves in {source} stays in one place for {self._seconds:.0f} s, as on a treadmill, "
                f"and gives {len(self._stretches)} pieces of a body",
                "people who walk through the picture, because a body that stays becomes background",
                "Choose an extractor that needs no background with --extractor",
            )
        weights: Counter[Reason] = Counter()
        for stretch in self._stretches:
            weights[stretch.reason] += stretch.frames
        reason = weights.most_common(1)[0][0]
        what, expected, remedy = _REMEDIES[reason]
        return Finding(
            f"None of the {len(self._stretches)} walks of {source} is usable: most {what}"
            + self._measured(reason),
            expected,
            remedy,
        )

    def _measured(self, reason: Reason) -> str:
        """The figure behind a reason, where there is one."""
        if reason is not Reason.TOO_SMALL:
            return ""
        height = np.median([stretch.height for stretch in self._stretches if stretch.reason is reason])
        return f" ({height:.0f} pixels)"

    def _changes_in_place(self) -> bool:
        """Return whether something keeps moving in one small part of the width, without a track."""
        if np.mean(self._changing) < _BY_FRAMES or self._seconds < _PLACE_S:
            return False
        columns = np.repeat(np.arange(_SIZE[0]), self._changes.sum(axis=0))
        low, high = np.percentile(columns, [5, 95])
        return bool(high - low < _PLACE[0] * _SIZE[0])

    def _in_place(self) -> bool:
        """Return whether all walks keep their feet in one small part of the picture for some seconds."""
        if sum(stretch.seconds for stretch in self._stretches) < _PLACE_S:
            return False
        low, high = np.percentile(np.concatenate(self._feet), [5, 95], axis=0)
        return bool(((high - low) < np.array(_PLACE) * self._size).all())


def _stretch(walk: Walk) -> _Stretch:
    refused = Counter(reason for reasons in walk.reasons for reason in reasons)
    good = sum(not reasons for reasons in walk.reasons)
    quality = None if walk.sequence is None else assess(walk.sequence)
    by_frames = good < _BY_FRAMES * len(walk.times) and bool(refused)
    if by_frames or quality is None or not quality.reasons:
        reason = refused.most_common(1)[0][0] if refused else Reason.TOO_SHORT
    else:
        reason = quality.reasons[0]
    heights = walk.boxes[:, 3] - walk.boxes[:, 1]
    return _Stretch(len(walk.times), float(walk.times[-1] - walk.times[0]), reason, float(np.median(heights)))
