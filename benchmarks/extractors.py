"""Every extractor that ships on the same generated scenes, side by side.

    OMP_NUM_THREADS=1 python -m benchmarks.extractors [--seeds 1 2] [--extractors NAME ...] [--sheet DIR]

Tracking is scored as MOTA and IDF1 at a box overlap of 0.5, masks by their median overlap (IoU), keypoints by
the share within a tenth of the body's height (PCK). A usable walk is wrong if less than nine tenths of its
frames show one walker. `pan`, `shake` and `night` are the crossing of two people, cut out of the picture by
a window that moves (a pan of 3 pixels a frame, a hand that trembles by 6 pixels), or dark with noise. All
scenes are **synthetic**; CPU milliseconds are of one thread and include the gates and the tracker.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from gaitid.errors import SourceError
from gaitid.evaluation.tracking import mask_iou, score_tracks
from gaitid.perception.extractor import load_extractor
from gaitid.perception.pipeline import Walk, watch
from gaitid.perception.sources import Source
from gaitid.perception.tracks import iou
from gaitid.quality import assess
from gaitid.records import Frame, Observation
from gaitid.synthetic.scenes import SCENES, GroundTruth, Scene, named_scene

EXTRACTORS = ("motion", "person", "motion+pose", "auto")
MOVED = ("pan", "shake", "night")
SIZE, WINDOW = (640, 360), (480, 300)
NEAR = 0.1
"""Distance of a keypoint, in heights of the body, up to which it is right."""
OWNED = 0.9


class Filmed(Source):
    """A scene, or a change of it, that keeps its ground truth."""

    def __init__(self, scene: Scene, change: str) -> None:
        size = WINDOW if change in ("pan", "shake") else scene.size
        super().__init__(scene.name, scene.name, fps=scene.fps, size=size, frame_count=len(scene))
        self._scene, self._change, self.truths = scene, change, list[GroundTruth]()

    def _pictures(self) -> Iterator[tuple[NDArray[np.uint8], float]]:
        rng, tremor = np.random.default_rng(7), np.zeros(2)
        for frame, truth in self._scene:
            image = frame.image
            tremor = 0.7 * tremor + rng.normal(0, 2.5, 2)
            if self._change == "night":
                dark = image * 0.25 + rng.normal(0, 7, image.shape)
                image = np.clip(dark, 0, 255).astype(np.uint8)
            elif self._change:
                image, truth = _cut(image, truth, _offset(self._change, frame.index, tremor))
            self.truths.append(truth)
            yield image, frame.time


def _offset(change: str, index: int, tremor: NDArray[np.float64]) -> NDArray[np.int64]:
    room = np.array(SIZE) - WINDOW
    if change == "pan":
        return np.round(room * (0.5 + np.array([0.5, 0.3]) * np.sin(index / 28))).astype(int)
    return np.clip(np.round(room / 2 + tremor), 0, room).astype(int)


def _cut(
    image: NDArray[np.uint8], truth: GroundTruth, offset: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], GroundTruth]:
    """The picture and the whole walkers in a window."""
    x, y = offset
    picture = np.ascontiguousarray(image[y : y + WINDOW[1], x : x + WINDOW[0]])
    move = np.float32([x, y])
    seen = []
    for one in truth.sightings:
        box = one.box - np.tile(move, 2)
        if (box[:2] >= 0).all() and (box[2:] <= WINDOW).all():
            points = one.keypoints - np.float32([x, y, 0])
            seen.append(replace(one, box=box, whole_box=one.whole_box - np.tile(move, 2), keypoints=points))
    return picture, replace(truth, sightings=tuple(seen))


class Recorder:
    """An extractor that keeps what it saw, by time."""

    def __init__(self, name: str) -> None:
        self._inner = load_extractor(name)
        self.seen: dict[float, list[Observation]] = {}

    def __call__(self, frame: Frame) -> list[Observation]:
        """Ask the extractor."""
        self.seen[frame.time] = self._inner(frame)
        return self.seen[frame.time]

    def reset(self) -> None:
        """Reset the extractor."""
        self._inner.reset()


def one(name: str, scene: Scene, change: str) -> dict[str, Any]:
    """Figures of one extractor in one scene."""
    source, recorder = Filmed(scene, change), Recorder(name)
    walks: list[Walk] = []
    refused = ""

    def run() -> None:
        for view in watch(source, extractor=recorder):
            walks.extend(view.walks)

    filming_s = harness.cpu_s(lambda: list(Filmed(scene, change)))
    try:
        cpu_s = harness.cpu_s(run)
    except SourceError as error:
        return {"refused": error.code}
    truths = source.truths
    overlaps, right = _compared(truths, recorder)
    tracked = [dict[int, Any]() for _ in truths]
    frames = {truth.time: k for k, truth in enumerate(truths)}
    for walk in walks:
        for moment, box in zip(walk.times, walk.boxes, strict=True):
            tracked[frames[float(moment)]][walk.track] = box
    scores = score_tracks([{s.track: s.box for s in truth.sightings} for truth in truths], tracked)
    usable = [w for w in walks if w.sequence is not None and assess(w.sequence).usable]
    return {
        "mota": round(scores.mota, 3),
        "idf1": round(scores.idf1, 3),
        "mask_iou": round(statistics.median(overlaps), 3) if overlaps else None,
        "pck": round(float(np.mean(right)), 3) if right else None,
        "usable": len(usable),
        "wrong": sum(not _is_of_one(walk, truths, frames) for walk in usable),
        "cpu_ms": round(1000 * max(0.0, cpu_s - filming_s) / len(truths), 1),
        "refused": refused,
    }


def _compared(truths: list[GroundTruth], recorder: Recorder) -> tuple[list[float], list[bool]]:
    """Overlaps of masks, and whether keypoints are right, where an observation and a walker match."""
    overlaps: list[float] = []
    right: list[bool] = []
    for truth in truths:
        found = recorder.seen.get(truth.time, [])
        if not (found and truth.sightings):
            continue
        shared = iou(
            np.array([s.box for s in truth.sightings], float), np.array([o.box for o in found], float)
        )
        for sighting, row in zip(truth.sightings, shared, strict=True):
            seen = found[int(row.argmax())]
            if row.max() < 0.5:
                continue
            if seen.mask is not None:
                overlaps.append(mask_iou(sighting.mask, sighting.box, seen.mask, seen.box))
            if seen.keypoints is not None:
                there = sighting.keypoints[:, 2] > 0
                away = np.linalg.norm(sighting.keypoints[there, :2] - seen.keypoints[there, :2], axis=1)
                right += list(away <= NEAR * (sighting.whole_box[3] - sighting.whole_box[1]))
    return overlaps, right


def _is_of_one(walk: Walk, truths: list[GroundTruth], frames: dict[float, int]) -> bool:
    votes: Counter[int] = Counter()
    sequence = walk.sequence
    assert sequence is not None and sequence.boxes is not None  # noqa: PT018 - usable walks have both
    for moment, box in zip(sequence.times, sequence.boxes, strict=True):
        there = truths[frames[float(moment)]].sightings
        shared = iou(box[None].astype(float), np.array([s.box for s in there], float).reshape(-1, 4))[0]
        if shared.max(initial=0) > 0.3:
            votes[there[int(shared.argmax())].track] += 1
    return bool(votes) and votes.most_common(1)[0][1] >= OWNED * len(sequence)


def pooled(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of rates, sums of walks, and how many were refused."""
    ran = [row for row in rows if not row["refused"]]
    found: dict[str, Any] = {"refused": len(rows) - len(ran)}
    for key in ("mota", "idf1", "mask_iou", "pck", "cpu_ms"):
        values = [row[key] for row in ran if row[key] is not None]
        found[key] = round(statistics.median(values), 3) if values else None
    return found | {key: sum(row[key] for row in ran) for key in ("usable", "wrong")}


def sheet(path: Path, name: str, scene: Scene, change: str) -> None:
    """Draw what an extractor sees in six frames of a scene."""
    extractor, tiles = load_extractor(name), []
    wanted = set(np.linspace(0.35 * len(scene), 0.9 * len(scene), 6).astype(int).tolist())
    for k, item in enumerate(Filmed(scene, change)):
        if not isinstance(item, Frame):
            continue
        try:
            found = extractor(item)
        except SourceError:
            return
        if k in wanted:
            tiles.append(_drawn(item.image.copy(), found))
    cv2.imwrite(str(path), np.vstack([np.hstack(tiles[i : i + 2]) for i in range(0, 6, 2)]))


def _drawn(image: NDArray[np.uint8], found: list[Observation]) -> NDArray[np.uint8]:
    for seen in found:
        x0, y0 = np.floor(seen.box[:2]).astype(int)
        if seen.mask is not None:
            area = image[y0 : y0 + seen.mask.shape[0], x0 : x0 + seen.mask.shape[1]]
            inside = seen.mask[: area.shape[0], : area.shape[1]] > 0
            area[inside] = area[inside] // 2 + np.array([0, 110, 0], np.uint8)
        corners = [int(v) for v in seen.box]
        cv2.rectangle(image, corners[:2], corners[2:], (0, 0, 255), 1)
        for x, y, confidence in () if seen.keypoints is None else seen.keypoints:
            if confidence > 0.3:
                cv2.circle(image, (int(x), int(y)), 2, (255, 255, 0), -1)
    return image


def main() -> None:
    """Measure, print, draw and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--extractors", nargs="+", default=list(EXTRACTORS))
    parser.add_argument("--sheet", type=Path, help="directory for a contact sheet of each")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    scenes = [(name, "") for name in SCENES] + [("crossing", change) for change in MOVED]
    result: dict[str, Any] = {}
    for name, change in scenes:
        label = change or name
        result[label] = {}
        for extractor in options.extractors:
            rows = [one(extractor, named_scene(name, seed, size=SIZE), change) for seed in options.seeds]
            result[label][extractor] = pooled(rows)
            print(f"{label:13s} {extractor:12s} {result[label][extractor]}", flush=True)
            if options.sheet:
                options.sheet.mkdir(parents=True, exist_ok=True)
                target = options.sheet / f"{label}-{extractor}.png"
                sheet(target, extractor, named_scene(name, options.seeds[0], size=SIZE), change)
    harness.save(
        {**harness.facts(__file__), "seeds": options.seeds, "scenes": result}, options.out, show=False
    )


if __name__ == "__main__":
    main()
