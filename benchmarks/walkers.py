"""Everything that is claimed of the synthetic walkers, measured and written to benchmarks/results.

    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/walkers.py --video vtest.avi --rival prototype/

Throughput is CPU time of one process, median over batches. A rival is a folder with `gaitsynth.py` and
`body5.npz`, the prototype this generator replaced.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path

import controls
import cv2
import mask_statistics
import numpy as np
import spreads

from gaitid.evaluation.provenance import machine_name, provenance
from gaitid.synthetic import (
    CONDITIONS,
    Item,
    Population,
    PopulationDataset,
    SyntheticWalk,
    plan_grid,
    plan_varied,
)
from gaitid.synthetic.frames import align_all


def cpu_ms(make: Callable[[int], object], count: int, batches: int = 5) -> dict[str, float]:
    """CPU milliseconds a sequence: median, lowest and highest of the batches."""
    found = []
    for batch in range(batches):
        start = time.process_time()
        for k in range(count):
            make(batch * count + k)
        found.append(1000 * (time.process_time() - start) / count)
    return {"median": float(np.median(found)), "lowest": min(found), "highest": max(found)}


def throughput(rival: Path | None) -> dict[str, object]:
    """One 60-frame sequence to noisy 64x44 silhouettes and keypoints, in several settings."""
    plain = [Item(i, condition=CONDITIONS[i % 3], view=18.0 * (i % 11)) for i in range(200)]
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
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, help="vtest.avi, for the table of mask statistics")
    parser.add_argument("--rival", type=Path)
    parser.add_argument("--people", type=int, default=500, help="identities of the spread table")
    parser.add_argument("--identities", type=int, default=100, help="identities of the controls")
    parser.add_argument("--groups", type=int, default=4, help="times as many of the controls, disjoint")
    parser.add_argument("--workers", type=int, default=1, help="processes for the controls")
    parser.add_argument("--only", choices=("throughput", "spreads", "controls", "masks"), nargs="*")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    wanted = set(arguments.only or ("throughput", "spreads", "controls", "masks"))
    origin = provenance("python benchmarks/walkers.py")
    file = Path(__file__).parent / "results" / f"walkers-{origin['date'][:10]}-{machine_name()}.json"
    result = (json.loads(file.read_text()) if file.exists() else {}) | origin | {"cv2": cv2.__version__}
    if "throughput" in wanted:
        result["cpu_ms_per_sequence"] = throughput(arguments.rival)
    if "spreads" in wanted:
        result["spreads"] = {"people": arguments.people, "days": 3, "walks": 3}
        result["spreads"] |= spreads.table(Population(0, "train"), arguments.people)
    if "controls" in wanted:
        found = controls.table(arguments.identities, arguments.groups, arguments.workers)
        result["controls"] = controls.described(arguments.identities, found, "mean silhouette")
    if "masks" in wanted and arguments.video:
        result["masks"] = mask_statistics.table(arguments.video)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
