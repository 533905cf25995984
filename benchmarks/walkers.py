"""Every figure that docs/synthetic.md gives for the synthetic walkers.

    OMP_NUM_THREADS=1 python -m benchmarks.walkers [--video vtest.avi] [--rival prototype/]

Throughput is CPU time of one process, median over batches. A rival is a folder with `gaitsynth.py` and
`body5.npz`, the prototype that this generator replaced.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks import controls, harness, mask_statistics, spreads
from gaitid.synthetic import (
    CONDITIONS,
    Population,
    PopulationDataset,
    SyntheticWalk,
    WalkPlan,
    plan_grid,
    plan_varied,
)
from gaitid.synthetic.frames import align_all

PARTS = ("throughput", "spreads", "controls", "masks")


def cpu_ms(make: Callable[[int], object], count: int) -> dict[str, float]:
    """CPU milliseconds per sequence: median, lowest and highest of five batches."""
    return harness.extremes(harness.cpu_ms_rounds(make, count, 5))


def throughput(rival: Path | None) -> dict[str, object]:
    """CPU time from seed to noisy 64x44 silhouettes and keypoints, 60 frames, in several settings."""
    plain = [WalkPlan(i, condition=CONDITIONS[i % 3], view=18.0 * (i % 11)) for i in range(200)]
    each = PopulationDataset(Population(0), plain)
    varied = PopulationDataset(Population(1), plan_varied(range(40), per_identity=6))
    grid = PopulationDataset(Population(2), plan_grid(range(8), sessions=(0,), numbers=(0,)))
    each[0], varied[0], grid[0]  # load the body and the noise bank
    out: dict[str, object] = {
        "every walk of another person": cpu_ms(each.__getitem__, 30),
        "varied plan, with bends and occlusion": cpu_ms(varied.__getitem__, 30),
        "eleven views a walk": cpu_ms(grid.__getitem__, 33),
    }
    walks = [each.walk(i) for i in range(30)]
    out["noise and alignment only"] = cpu_ms(lambda k: _noise(walks[k % 30], k), 30)
    if rival is not None:  # in the same run, so that both meet the same load
        out["prototype"] = cpu_ms(_prototype(rival), 30)
    return out


def _noise(walk: SyntheticWalk, draw: int) -> None:
    align_all(walk.masks(draw=draw))
    walk.detected(draw=draw)


def _prototype(folder: Path) -> Callable[[int], None]:
    spec = importlib.util.spec_from_file_location("gaitsynth", folder / "gaitsynth.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    generator, rng = module.Generator(str(folder / "body5.npz")), np.random.default_rng(0)

    def make(_: int) -> None:
        motion = generator.motion(generator.identity(rng), rng, str(rng.choice(["NM", "BG", "CL"])), 60)
        masks, _, _ = generator.render(motion, module.Camera(float(rng.uniform(0, 180)), rng=rng))
        module.normalise(module.degrade(masks, rng))

    return make


def main() -> None:
    """Measure, print and save; parts that are not measured keep their figures."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--video", type=Path, help="vtest.avi, for the table of mask statistics")
    parser.add_argument("--rival", type=Path)
    parser.add_argument("--people", type=int, default=500, help="identities of the spread table")
    parser.add_argument("--identities", type=int, default=100, help="identities of the controls")
    parser.add_argument("--groups", type=int, default=4, help="times as many of the controls, disjoint")
    parser.add_argument("--workers", type=int, default=1, help="processes for the controls")
    parser.add_argument("--only", choices=PARTS, nargs="*", default=PARTS)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    result = json.loads(options.out.read_text()) if options.out.exists() else {}
    result |= {**harness.facts(__file__), "cv2": cv2.__version__}
    if "throughput" in options.only:
        result["cpu_ms_per_sequence"] = throughput(options.rival)
    if "spreads" in options.only:
        result["spreads"] = {"people": options.people, "days": 3, "walks": 3}
        result["spreads"] |= spreads.table(Population(0, "train"), options.people)
    if "controls" in options.only:
        found = controls.table(options.identities, options.groups, options.workers)
        result["controls"] = controls.described(options.identities, found, "mean silhouette")
    if "masks" in options.only and options.video:
        result["masks"] = mask_statistics.table(options.video)
    harness.save(result, options.out)


if __name__ == "__main__":
    main()
