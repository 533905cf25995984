"""How much a walk differs from itself: halves of real tracks beside halves of synthetic walks.

    python -m benchmarks.walk_halves [vtest.avi] [--encoders gei strider FILE ...]

Measured on each half, in eight bands of its height: the mean width, and the mean position of the middle
of the outline, in pixels of the 64 x 44 frame. ``within`` is the deviation of a half around its walk,
``between`` that of walks. Synthetic walks: 42 subjects past one high camera at 10 fps, the halves
segmented apart; then restless subjects, and halves distorted as training clips are
(`training.augment.distort`). Also rank-1 of second halves among first halves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from benchmarks.encoders import HALF, half_track, halves
from gaitid.encoders.base import Encoder, load_encoder
from gaitid.records import SILHOUETTE, GaitSequence
from gaitid.synthetic import CONDITIONS, Population
from gaitid.synthetic.camera import Camera
from gaitid.training.augment import distort

PEOPLE, SEED, BANDS = 42, 3, 8
STRENGTHS = (0.0, 0.5, 1.0, 1.5)
RESTLESS = (1.0, 2.0)

Pairs = tuple[list[GaitSequence], list[GaitSequence]]


def synthetic(restless: float = 0.0) -> Pairs:
    """Halves of synthetic walks, each segmented separately."""
    population, rng = Population(8, "validation", restless=restless), np.random.default_rng(SEED)
    first, second = [], []
    for person in range(PEOPLE):
        view = float(rng.choice((0, 45, 90, 180, 225, 270)) + rng.normal(0, 12))
        tall, frames = float(rng.uniform(48, 110)), int(rng.integers(28, 70))
        camera = Camera.beside(view, distance=16.0, height=7.0, focal=tall / 1.7 * 17.2)
        condition = str(rng.choice(CONDITIONS))
        walk = population.sequence(
            person, view=view, condition=condition, frames=frames, fps=10, camera=camera
        )
        a, b = (walk.sequence(draw=draw, modalities=(SILHOUETTE,)) for draw in (0, 1))
        a, b = a.part(slice(0, frames // 2)), b.part(slice(len(b) - frames // 2, None))
        if min(len(a), len(b)) >= HALF:
            first.append(a)
            second.append(b)
    return first, second


def distorted(pairs: Pairs, strength: float) -> Pairs:
    """The same halves, each distorted separately."""
    if not strength:
        return pairs
    rng = np.random.default_rng(SEED)
    changed = [tuple(_distorted(half, rng, strength) for half in pair) for pair in zip(*pairs, strict=True)]
    return [a for a, _ in changed], [b for _, b in changed]


def _distorted(half: GaitSequence, rng: np.random.Generator, strength: float) -> GaitSequence:
    return GaitSequence({SILHOUETTE: distort(rng, half.streams[SILHOUETTE], strength)}, half.times)


def profile(half: GaitSequence) -> NDArray[np.float64]:
    """(2, 64) mean width and middle of each row, pixels; the middle is relative to that of the body."""
    frames = half.streams[SILHOUETTE].astype(np.float64)
    width = frames.sum(2)
    middle = (frames * np.arange(frames.shape[2])).sum(2) / np.where(width, width, np.nan)
    middle -= np.nanmean(middle, axis=1, keepdims=True)
    return np.stack([width.mean(0), np.nan_to_num(np.nanmean(middle, axis=0))])


def deviations(pairs: Pairs) -> dict[str, list[float]]:
    """Deviations within and between walks, by band from head to feet, pixels."""
    a, b = (np.stack([profile(half) for half in side]) for side in pairs)
    found = {}
    for name, values in (("within", (a - b).std(0) / 2**0.5), ("between", ((a + b) / 2).std(0))):
        bands = values.reshape(2, BANDS, -1).mean(2).round(2)
        found |= {f"width, {name}": bands[0].tolist(), f"middle, {name}": bands[1].tolist()}
    return found


def measured(pairs: Pairs, encoders: dict[str, Encoder]) -> dict[str, Any]:
    """Deviations, and rank-1 of second halves among first halves."""
    ranks = {
        name: half_track(lambda s, e=encoder: e(s).vector, *pairs)["rank-1"]
        for name, encoder in encoders.items()
    }
    return {"walks": len(pairs[0]), **deviations(pairs), "rank-1": ranks}


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("video", nargs="?", help="video with walkers; without it, synthetic rows only")
    parser.add_argument("--encoders", nargs="+", default=["gei", "strider"], help="names or weight files")
    options = parser.parse_args()
    encoders = {Path(name).stem: load_encoder(name) for name in options.encoders}
    result: dict[str, Any] = harness.facts(__file__)
    if options.video:
        result["real"] = measured(halves(options.video), encoders)
    walks = synthetic()
    for strength in STRENGTHS:
        result[f"synthetic, distorted {strength:g}"] = measured(distorted(walks, strength), encoders)
    for restless in RESTLESS:
        result[f"synthetic, restless {restless:g}"] = measured(synthetic(restless), encoders)
    harness.save(result, options.out)


if __name__ == "__main__":
    main()
