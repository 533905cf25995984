"""Extractors that follow a script: synthetic walkers, seen as boxes, masks, keypoints and track ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gaitid.perception.pipeline import FrameView, PerceptionSettings, watch
from gaitid.perception.sources import Source
from gaitid.records import Frame, Observation
from gaitid.synthetic import Population

SIZE = (400, 200)  # width, height
FPS = 25.0
FRAMES = 60

Script = Mapping[int, Sequence[Observation]]


class Blank(Source):
    """Frames without content: a scripted extractor does not look at them."""

    def __init__(
        self, frames: int = FRAMES, size: tuple[int, int] = SIZE, *, fps: float = FPS, camera: str = "cam"
    ) -> None:
        super().__init__("blank", camera, fps=fps, size=size, frame_count=frames)

    def _pictures(self) -> Iterator[Any]:
        picture = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        for index in range(self.frame_count or 0):
            yield picture, index / self.fps


@dataclass(frozen=True)
class NoSettings:
    """A scripted extractor has no settings."""


class Scripted:
    """Returns what a script says, by frame index; an `Extractor`."""

    settings = NoSettings

    def __init__(self, script: Script) -> None:
        self.script, self.resets = script, 0

    def __call__(self, frame: Frame) -> list[Observation]:
        return list(self.script.get(frame.index, ()))

    def reset(self) -> None:
        self.resets += 1


def walker(
    person: int = 0,
    *,
    mask: bool = True,
    keypoints: bool = True,
    track: int | None = None,
    shift: tuple[int, int] = (250, 100),
    frames: int = FRAMES,
) -> Script:
    """One synthetic walker who crosses the picture from right to left, one observation a frame."""
    walk = Population(3, "test").sequence(person, frames=max(frames, 2), fps=FPS)
    script = {}
    for i, box, corner, whole in zip(range(frames), walk.boxes, walk.corners, walk.clean, strict=False):
        x0, y0, x1, y1 = (box - np.tile(corner, 2)).astype(int)
        joints = walk.detected(0.0)[i] + np.array([*shift, 0], np.float32)
        script[i] = [
            Observation(
                (box + np.tile(np.array(shift, np.float32), 2)).astype(np.float32),
                whole[y0:y1, x0:x1] if mask else None,
                joints.astype(np.float32) if keypoints else None,
                track=track,
            )
        ]
    return script


def together(*scripts: Script) -> Script:
    """Several walkers in one picture."""
    frames = sorted({i for script in scripts for i in script})
    return {i: [one for script in scripts for one in script.get(i, ())] for i in frames}


def views(
    script: Script, frames: int = FRAMES, settings: PerceptionSettings | None = None
) -> list[FrameView]:
    """What perception makes of a script."""
    source = Blank(frames)
    return list(watch(source, extractor=Scripted(script), settings=settings))
