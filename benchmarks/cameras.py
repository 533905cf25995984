"""Cameras that look down and past subjects: rank-1 on another day, by encoder.

    python -m benchmarks.cameras [--encoders NAME-OR-FILE ...] [--people 60]

Subjects who are off the centre of the picture of a camera that looks down appear to lean. Subjects of the
split ``test`` walk past cameras 7 m away, at 0, 54, 90 and 144 degrees. Gallery: day 0, in the middle of
the picture. Probes: day 1, in the middle, 25 degrees aside of it, and in the middle of a camera that is
rolled by 5 degrees. All in normal clothes, 50 frames at 25 fps, noise level 1. **Synthetic**.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from gaitid.encoders.base import Encoder, load_encoder
from gaitid.records import GaitSequence
from gaitid.synthetic import Population
from gaitid.synthetic.camera import Camera

SEED, VIEWS, FRAMES, DISTANCE_M, TALL_PX = 11, (0.0, 54.0, 90.0, 144.0), 50, 7.0, 90
HEIGHTS_M = (1.4, 3.0, 4.0)
PLACES = {"in the middle": (0.0, 0.0), "25 degrees aside": (25.0, 0.0), "hung 5 degrees askew": (0.0, 5.0)}

Walks = dict[float, list[GaitSequence]]
Vectors = dict[float, NDArray[np.float32]]


def walks(people: int, day: int, height: float, aside: float, roll: float) -> Walks:
    """The walk of every subject on that day, by view."""
    population, found = Population(SEED, "test"), {}
    for view in VIEWS:
        camera = Camera.beside(
            view,
            distance=DISTANCE_M,
            height=height,
            focal=TALL_PX / 1.7 * DISTANCE_M,
            aside=aside,
            roll=roll,
        )
        seen = (population.sequence(n, day, view=view, frames=FRAMES, camera=camera) for n in range(people))
        found[view] = [walk.sequence() for walk in seen]
    return found


def embedded(encoder: Encoder, found: Walks) -> Vectors:
    """(people, D) by view."""
    return {view: np.stack([e.vector for e in encoder.batch(some)]) for view, some in found.items()}


def rank_1(gallery: Vectors, probes: Vectors) -> dict[str, float]:
    """Rank-1 as a mean over pairs of different views and over equal views."""
    pairs: dict[bool, list[float]] = {True: [], False: []}
    for a, vectors in probes.items():
        for b, others in gallery.items():
            best = (vectors @ others.T).argmax(1)
            pairs[a == b].append(float((best == np.arange(len(best))).mean()))
    return {
        "different views": round(float(np.mean(pairs[False])), 3),
        "equal views": round(float(np.mean(pairs[True])), 3),
    }


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument(
        "--encoders", nargs="+", default=["gei", "strider", "stickman", "fused"], help="names or weight files"
    )
    parser.add_argument("--people", type=int, default=60)
    options = parser.parse_args()
    encoders = {name: load_encoder(name) for name in options.encoders}
    result: dict[str, Any] = harness.facts(__file__)
    for height in HEIGHTS_M:
        enrolled = walks(options.people, 0, height, 0.0, 0.0)
        galleries = {name: embedded(encoder, enrolled) for name, encoder in encoders.items()}
        for place, angles in PLACES.items():
            seen = walks(options.people, 1, height, *angles)
            row = {n: rank_1(galleries[n], embedded(encoder, seen)) for n, encoder in encoders.items()}
            result[f"{height:g} m high, {place}"] = row
            print(f"{height:g} m high, {place}", row, flush=True)
    harness.save(result, options.out, show=False)


if __name__ == "__main__":
    main()
