"""How fast and how accurate perception is on a real video, beside a plain rival in the same run.

    OMP_NUM_THREADS=1 python -m benchmarks.perception [VIDEO] [--truth tests/fixtures/vtest_truth.json]

Both sides decode, find motion, track with our tracker, gate and align, on one thread; time is CPU time.
The rival is a first attempt at the task: MOG2 at its defaults from the first frame on, one box per
component, and gates on single frames (border, height >= 48, height/width 1.5 to 4.5, fill 0.3 to 0.85).
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from gaitid.perception.align import align
from gaitid.perception.pipeline import Walk, watch
from gaitid.perception.sources import open_source
from gaitid.perception.tracks import Tracker, iou
from gaitid.records import Observation, Reason

GOOD_FRAMES = 20


def ours(video: str) -> tuple[int, list[Walk]]:
    """(frames, walks) of our pipeline."""
    frames, walks = 0, []
    with open_source(video) as source:
        for view in watch(source):
            frames = view.frame.index + 1
            walks += view.walks
    return frames, walks


def rival(video: str) -> tuple[int, dict[int, int]]:
    """(frames, good frames of each track) of the rival."""
    model, tracker = cv2.createBackgroundSubtractorMOG2(), Tracker()
    good: dict[int, int] = {}
    capture, frames = cv2.VideoCapture(video, cv2.CAP_FFMPEG), 0
    fps = capture.get(cv2.CAP_PROP_FPS)
    while True:
        read, image = capture.read()
        if not read:
            return frames, good
        raw = np.asarray(model.apply(image), np.uint8)
        clean = cv2.morphologyEx((raw > 200).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        solid = cv2.morphologyEx(clean, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
        observations = list(_components(solid))
        tracker.update(observations, frames / fps)
        for track in tracker.active:
            if track.seen is not None and _passes(observations[track.seen], image.shape):
                good[track.id] = good.get(track.id, 0) + 1
        frames += 1


def _components(solid: Any) -> Iterator[Observation]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
    for i in range(1, len(stats)):
        x, y, w, h, area = (int(v) for v in stats[i])
        if area >= 200:
            mask = (labels[y : y + h, x : x + w] == i).astype(np.uint8)
            yield Observation(np.array([x, y, x + w, y + h], np.float32), mask)


def _passes(observation: Observation, shape: tuple[int, ...]) -> bool:
    x0, y0, x1, y1 = observation.box
    height, width, mask = y1 - y0, x1 - x0, observation.mask
    inside = x0 > 2 and y0 > 2 and x1 < shape[1] - 2 and y1 < shape[0] - 2
    shaped = height >= 48 and 1.5 <= height / width <= 4.5
    return bool(
        inside and shaped and mask is not None and 0.3 <= mask.mean() <= 0.85 and align(mask) is not None
    )


def agreement(walks: list[Walk], truth: dict[str, Any], fps: float) -> dict[str, dict[str, float]]:
    """Per kind of case: frames in which its blob is seen, and shares of them flagged and refused.

    Args:
        walks: Of the video.
        truth: As in `tests/fixtures/vtest_truth.json`.
        fps: Frames a second of the video.
    """
    seen: dict[int, list[tuple[NDArray[np.float32], tuple[Reason, ...]]]] = {}
    for walk in walks:
        for moment, box, reasons in zip(walk.times, walk.boxes, walk.reasons, strict=True):
            seen.setdefault(round(moment * fps), []).append((box, reasons))
    frames: dict[str, list[tuple[Reason, ...]]] = {}
    cases: dict[str, list[bool]] = {}
    for case in truth["cases"]:
        found = list(_case_frames(case, seen))
        frames.setdefault(case["kind"], []).extend(found)
        flagged = sum(Reason.MERGED in why for why in found)
        cases.setdefault(case["kind"], []).append(2 * flagged >= len(found) > 0)
    return {
        kind: {
            "cases": len(cases[kind]),
            "cases_flagged": sum(cases[kind]),
            "frames": len(found),
            "merged": sum(Reason.MERGED in why for why in found) / max(len(found), 1),
            "refused": sum(bool(why) for why in found) / max(len(found), 1),
        }
        for kind, found in frames.items()
    }


def _case_frames(
    case: dict[str, Any], seen: dict[int, list[tuple[NDArray[np.float32], tuple[Reason, ...]]]]
) -> Iterator[tuple[Reason, ...]]:
    """Refusal reasons of the best-fitting blob, in each frame in which a blob fits the case."""
    marks = sorted(int(mark) for mark in case["boxes"])
    corners = np.array([case["boxes"][str(mark)] for mark in marks], float)
    for frame in range(case["frames"][0], case["frames"][1] + 1):
        box = np.array([np.interp(frame, marks, corner) for corner in corners.T])
        there = seen.get(frame, [])
        if there:
            fit = iou(box[None], np.array([b for b, _ in there], float))[0]
            if fit.max() >= 0.4:
                yield there[int(fit.argmax())][1]


def rates_of(run: Callable[[str], tuple[int, Any]], video: str, repeats: int) -> tuple[list[float], Any]:
    """Frames per CPU-second in each repeat, and the last result."""
    rates, done = [], []
    for _ in range(repeats):
        seconds = harness.cpu_s(lambda: done.append(run(video)))
        rates.append(done[-1][0] / seconds)
    return rates, done[-1][1]


def summary(rates: list[float], good: dict[int, int]) -> dict[str, Any]:
    """The figures of one side."""
    return {
        "tracks": len(good),
        f"tracks_with_{GOOD_FRAMES}_good_frames": sum(n >= GOOD_FRAMES for n in good.values()),
        "good_frames": sum(good.values()),
        "fps_cpu_median": round(statistics.median(rates), 1),
        "fps_cpu_all": [round(rate, 1) for rate in rates],
    }


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("video", nargs="?", default=str(harness.DATA / "vtest.avi"))
    parser.add_argument("--truth", type=Path, default=harness.ROOT / "tests/fixtures/vtest_truth.json")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    our_rates, walks = rates_of(ours, options.video, options.repeats)
    rival_rates, rival_good = rates_of(rival, options.video, options.repeats)
    # The best single walk of a track: frames of two walks may show two subjects.
    best: dict[int, int] = {}
    for walk in walks:
        best[walk.track] = max(best.get(walk.track, 0), sum(not why for why in walk.reasons))
    with open_source(options.video) as source:
        agrees = agreement(walks, json.loads(options.truth.read_text()), source.fps)
    report = {
        **harness.facts(__file__),
        "opencv": cv2.__version__,
        "threads": 1,
        "repeats": options.repeats,
        "gaitid": summary(our_rates, best),
        "rival_mog2_simple_gates": summary(rival_rates, rival_good),
        "agreement_with_truth": agrees,
    }
    harness.save(report, options.out)


if __name__ == "__main__":
    main()
