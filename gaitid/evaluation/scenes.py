"""Perception measured on synthetic scenes with ground truth."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gaitid.evaluation.tracking import TrackingScores, mask_iou, score_tracks
from gaitid.perception.extractor import Extractor
from gaitid.perception.motion import MotionExtractor
from gaitid.perception.pipeline import Walk, watch
from gaitid.perception.sources import Source
from gaitid.records import Frame, Observation
from gaitid.synthetic.scenes import GroundTruth, GroundTruthWalker, Scene, scene_source

Box = NDArray[np.float32]

WHOLE, HIDDEN = 0.97, 0.8
"""Visible share of a body from which a frame should be accepted, and below which it should be rejected."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneReport:
    """Result of perception on a scene.

    Attributes:
        tracking: Scores of all tracked boxes against all visible walkers.
        mask_iou: Median overlap of masks over matched boxes, 0..1.
        spoilt: Tracked frames that show less than `HIDDEN` of a walker, or more than one walker.
        spoilt_refused: How many of those were rejected.
        clean: Tracked frames that show one moving walker, at least `WHOLE` of the body.
        clean_taken: How many of those were accepted.
        walks: All walks.
    """

    tracking: TrackingScores
    mask_iou: float
    spoilt: int
    spoilt_refused: int
    clean: int
    clean_taken: int
    walks: tuple[Walk, ...]


def observe(scene: Scene, extractor: Extractor | None = None) -> SceneReport:
    """Run perception on a scene and compare it with the ground truth.

    Args:
        scene: A scene with at least one walker in view.
        extractor: Detects people; None = `MotionExtractor`.
    """
    recorder = _Recorder(extractor or MotionExtractor())
    source = _Recording(scene)
    walks = tuple(walk for view in watch(source, extractor=recorder) for walk in view.walks)
    frames = {truth.time: k for k, truth in enumerate(source.truths)}
    boxes: list[dict[int, Box]] = [{} for _ in source.truths]
    refused: list[dict[int, bool]] = [{} for _ in source.truths]
    for walk in walks:
        for moment, box, reasons in zip(walk.times, walk.boxes, walk.reasons, strict=True):
            boxes[frames[float(moment)]][walk.track] = box
            refused[frames[float(moment)]][walk.track] = bool(reasons)
    truth_boxes = [{s.track: s.box for s in truth.sightings} for truth in source.truths]
    scores = score_tracks(truth_boxes, boxes)
    overlaps = []
    for k, true, track in scores.pairs:
        sighting = next(s for s in source.truths[k].sightings if s.track == true)
        mask = recorder.mask(source.truths[k].time, boxes[k][track])
        overlaps.append(mask_iou(sighting.mask, sighting.box, mask, boxes[k][track]))
    spoilt, clean = _judged(source.truths, boxes, refused)
    return SceneReport(
        scores, statistics.median(overlaps) if overlaps else 0.0,
        len(spoilt), sum(spoilt), len(clean), len(clean) - sum(clean), walks,
    )  # fmt: skip


def _judged(
    truths: list[GroundTruth], boxes: list[dict[int, Box]], refused: list[dict[int, bool]]
) -> tuple[list[bool], list[bool]]:
    """Whether each spoilt and each clean tracked frame was rejected."""
    spoilt: list[bool] = []
    clean: list[bool] = []
    for truth, found, against in zip(truths, boxes, refused, strict=True):
        for track, box in found.items():
            inside = [(sighting, _covered(sighting, box)) for sighting in truth.sightings]
            here = [sighting for sighting, share in inside if share > 0.5]
            if len(here) > 1 or (len(here) == 1 and here[0].share < HIDDEN):
                spoilt.append(against[track])
            elif len(here) == 1 and here[0].share >= WHOLE and sum(share > 0 for _, share in inside) == 1:
                clean.append(against[track])
    return spoilt, clean


def _covered(sighting: GroundTruthWalker, box: Box) -> float:
    """Share of a walker's visible box that lies in another box."""
    sides = np.minimum(sighting.box[2:], box[2:]) - np.maximum(sighting.box[:2], box[:2])
    return float(sides.clip(0).prod() / (sighting.box[2:] - sighting.box[:2]).prod())


class _Recorder:
    """An extractor that records its masks."""

    def __init__(self, inner: Extractor) -> None:
        self._inner = inner
        self._masks: dict[tuple[float, bytes], NDArray[np.uint8]] = {}

    def __call__(self, frame: Frame) -> list[Observation]:
        observations = self._inner(frame)
        for observation in observations:
            if observation.mask is not None:
                self._masks[frame.time, observation.box.tobytes()] = observation.mask
        return observations

    def reset(self) -> None:
        self._inner.reset()

    def mask(self, time: float, box: Box) -> NDArray[np.uint8]:
        return self._masks[time, box.tobytes()]


class _Recording(Source):
    """A scene as a source that records the ground truth of each frame."""

    def __init__(self, scene: Scene) -> None:
        plain = scene_source(scene)
        super().__init__(
            plain.spec, plain.camera, fps=plain.fps, size=plain.size, frame_count=plain.frame_count
        )
        self._scene = scene
        self.truths: list[GroundTruth] = []

    def _pictures(self) -> Iterator[tuple[NDArray[np.uint8], float]]:
        for frame, truth in self._scene:
            self.truths.append(truth)
            yield frame.image, frame.time
