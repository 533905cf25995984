"""The ``auto`` extractor: ``motion`` where it sees the people that ``person`` sees, else ``person``.

It begins with ``person``, so that nobody is lost, and runs ``motion`` beside it. Once enough people were seen
and the camera did not move, it compares the two and keeps one. ``motion`` takes a tenth of the time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from gaitid.errors import CameraMoving
from gaitid.perception.extractor import Extractor
from gaitid.perception.motion import MotionExtractor, MotionSettings
from gaitid.perception.tracks import iou
from gaitid.records import Frame, Observation

_log = logging.getLogger(__name__)

_SAME = 0.4
"""Overlap (IoU) of two boxes from which both extractors see the same person."""


@dataclass(frozen=True)
class AutoSettings:
    """Settings of the ``auto`` extractor; in TOML the table ``[perception.auto]``.

    Attributes:
        people: Sightings of people, one a person and frame, after which the two extractors are compared.
        agreement: Share of them, 0..1, that ``motion`` must see too to be chosen. In a street where it works
            it saw 0.75 to 0.95 of them, in nine places where it makes no usable walk 0.00 to 0.93.
        nobody: Greatest share, 0..1, of what ``motion`` sees that may be nobody whole: in the street 0.12 to
            0.18, in the other places from 0.27.
        motion: Settings of the motion extractor.
    """

    people: int = 60
    agreement: float = 0.7
    nobody: float = 0.22
    motion: MotionSettings = field(default_factory=MotionSettings)


class AutoExtractor:
    """Chooses an extractor for a source; an `Extractor`.

    Without onnxruntime it is ``motion``. What it chose and why is logged.

    Args:
        settings: See `AutoSettings`.

    Attributes:
        choice: What was chosen and why, in one sentence; empty until then.
    """

    settings: ClassVar[type[AutoSettings]] = AutoSettings

    def __init__(self, settings: AutoSettings = AutoSettings()) -> None:
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget the choice: the next frames show another time or place."""
        self.choice = ""
        self._motion: MotionExtractor | None = MotionExtractor(self._settings.motion)
        self._person = _person()
        self._seen = self._shared = self._others = 0
        if self._person is None:
            self._choose("motion; pip install 'gaitid[person]' for a choice", logging.WARNING)

    def learn(self, frames: Iterable[Frame]) -> None:
        """Learn the background of a recording; see `MotionExtractor.learn`."""
        if self._motion is not None:
            self._motion.learn(frames)

    def __call__(self, frame: Frame) -> list[Observation]:
        """Return the people in a frame, by what is chosen; by ``person`` until then.

        Raises:
            CameraMoving: The camera moves, and onnxruntime is not installed.
        """
        if self._person is None:
            assert self._motion is not None  # noqa: S101 - one of the two is left
            return self._motion(frame)
        found = self._person(frame)
        if self._motion is not None:
            self._compare(frame, found)
        return found

    def _compare(self, frame: Frame, found: Sequence[Observation]) -> None:
        """Run motion on a frame too, and choose when enough is known."""
        assert self._motion is not None  # noqa: S101 - the caller has looked
        try:
            moving = self._motion(frame)
        except CameraMoving:
            self._motion = None
            self._choose("person, since the camera moves")
            return
        if not self._motion.is_ready:
            return
        shared = iou(_boxes(found), _boxes(moving)) >= _SAME
        self._seen += len(found)
        self._shared += int(shared.any(1).sum()) if shared.size else 0
        self._others += len(moving) - (int(shared.any(0).sum()) if shared.size else 0)
        if self._seen >= self._settings.people:
            self._decide()

    def _decide(self) -> None:
        share, strange = self._shared / self._seen, self._others / max(1, self._shared + self._others)
        seen = f"motion sees {share:.0%} of the people, and {strange:.0%} of what it sees is nobody whole"
        if share >= self._settings.agreement and strange <= self._settings.nobody:
            self._person = None
            self._choose(f"motion, since the camera stands still and {seen}")
        else:
            self._motion = None
            self._choose(f"person, since {seen}")

    def _choose(self, choice: str, level: int = logging.INFO) -> None:
        self.choice = choice
        _log.log(level, "extractor auto chose %s", choice)


def _person() -> Extractor | None:
    try:
        from gaitid.perception.person import PersonExtractor
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        return None
    return PersonExtractor()


def _boxes(found: Sequence[Observation]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([one.box for one in found], float).reshape(-1, 4)
