"""How fast scenes are made, and how well perception follows the walkers in them.

    python benchmarks/scenes.py [--seeds 1 2 3]

One thread, CPU time. Tracking is scored as MOTA and IDF1 at a box overlap of 0.5; a spoilt frame shows
less than 0.8 of a walker or more than one, a clean one shows one whole walker.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2

from gaitid.evaluation.provenance import processor
from gaitid.evaluation.scenes import observe
from gaitid.synthetic.scenes import SCENES, named_scene

ROOT = Path(__file__).resolve().parents[1]


def generation(name: str, seed: int) -> dict[str, float]:
    """Frames a second of CPU time without the place, seconds for the place, walkers seen in a frame."""
    scene = named_scene(name, seed)
    start = time.process_time()
    _ = scene.backdrop
    ready = time.process_time()
    seen = sum(len(truth.sightings) for _, truth in scene)
    rate = len(scene) / (time.process_time() - ready)
    return {"fps": round(rate, 1), "place_s": round(ready - start, 2), "walkers": round(seen / len(scene), 2)}


def perception(name: str, seed: int) -> dict[str, Any]:
    """What our extractor makes of a scene."""
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
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args = parser.parse_args()
    cv2.setNumThreads(1)
    scenes = measure(args.seeds)
    cpu = processor()
    now = datetime.now(timezone.utc)
    report = {
        "command": " ".join(["python", "benchmarks/scenes.py", *sys.argv[1:]]),
        "commit": _git("rev-parse", "--short", "HEAD")
        + ("+" if _git("status", "--porcelain", "gaitid") else ""),
        "date": now.isoformat(timespec="seconds"),
        "machine": {"cpu": cpu, "python": platform.python_version(), "opencv": cv2.__version__},
        "threads": 1,
        "size": "640x360",
        "scenes": scenes,
    }
    name = f"scenes-{now:%Y-%m-%d}-{cpu.replace(' ', '-').lower()}.json"
    (ROOT / "benchmarks/results" / name).write_text(json.dumps(report, indent=2) + "\n")


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


if __name__ == "__main__":
    main()
