"""How fast scenes are made, and how well perception follows the walkers in them.

    OMP_NUM_THREADS=1 python -m benchmarks.scenes [--seeds 1 2 3]

One thread, CPU time. Tracking is scored as MOTA and IDF1 at a box overlap of 0.5. A spoilt frame shows
less than 0.8 of a walker or more than one; a clean one shows one whole walker.
"""

from __future__ import annotations

import statistics
from typing import Any

import cv2

from benchmarks import harness
from gaitid.evaluation.scenes import observe
from gaitid.synthetic.scenes import SCENES, named_scene


def generation(name: str, seed: int) -> dict[str, float]:
    """Frames per CPU-second without the place, CPU seconds for the place, walkers seen per frame."""
    scene = named_scene(name, seed)
    place_s = harness.cpu_s(lambda: scene.backdrop)
    seen: list[int] = []
    frames_s = harness.cpu_s(lambda: seen.extend(len(truth.sightings) for _, truth in scene))
    rate, walkers = len(scene) / frames_s, sum(seen) / len(scene)
    return {"fps": round(rate, 1), "place_s": round(place_s, 2), "walkers": round(walkers, 2)}


def perception(name: str, seed: int) -> dict[str, Any]:
    """Tracking, mask overlap and gating of our extractor in a scene."""
    report = observe(named_scene(name, seed))
    scores = report.tracking
    return {
        "mota": round(scores.mota, 3),
        "idf1": round(scores.idf1, 3),
        "mask_iou": round(report.mask_iou, 3),
        "boxes": scores.truths,
        "misses": scores.misses,
        "false": scores.false,
        "switches": scores.switches,
        "spoilt_refused": f"{report.spoilt_refused}/{report.spoilt}",
        "clean_taken": f"{report.clean_taken}/{report.clean}",
    }


def measure(seeds: list[int]) -> dict[str, Any]:
    """All scenes, all seeds, with medians."""
    found: dict[str, Any] = {}
    for name in SCENES:
        runs = [{"seed": seed, **generation(name, seed), **perception(name, seed)} for seed in seeds]
        keys = ("fps", "walkers", "mota", "idf1", "mask_iou")
        medians = {key: round(statistics.median(run[key] for run in runs), 3) for key in keys}
        found[name] = {"median": medians, "runs": runs}
        print(f"{name:13s} {medians}", flush=True)
    return found


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    found = {"opencv": cv2.__version__, "threads": 1, "size": "640x360", "scenes": measure(options.seeds)}
    harness.save({**harness.facts(__file__), **found}, options.out, show=False)


if __name__ == "__main__":
    main()
