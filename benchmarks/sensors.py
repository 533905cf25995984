"""Skeletons in space by worse and worse sensors: rank-1 of an encoder and of limb lengths.

    python -m benchmarks.sensors [--encoders NAME-OR-FILE ...] [--people 164]

Restless subjects of the split ``test``, three walks each on one day, 90 frames at 30 fps, all measured by
one sensor. The first walk is the gallery, the others are probes. Limb lengths measured by the usual
sensor find about as many of 164 synthetic subjects as they did of 164 real ones in a trial whose data are
not in the repository (45 %). **Synthetic**.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from benchmarks.encoders import limb_lengths
from gaitid.encoders.base import load_encoder
from gaitid.records import SKELETON_3D, GaitSequence
from gaitid.synthetic import Population
from gaitid.synthetic.depth import Sensor

SEED, WALKS, FRAMES, FPS = 9, 3, 90, 30
RESTLESS, POOR = 1.0, 6

Measured = list[GaitSequence]


def sensors() -> Iterator[tuple[str, list[Sensor]]]:
    """Kinds of sensors, each with examples; every example measures all walks."""
    usual = Sensor.usual()
    yield "exact", [Sensor.exact()]
    yield "usual", [usual]
    yield "usual, each joint 1 cm off in each walk", [replace(usual, bias=0.01)]
    yield "usual, each joint 2 cm off in each walk", [replace(usual, bias=0.02)]
    yield "usual, twice the noise", [replace(usual, white=2 * usual.white, slow=2 * usual.slow)]
    yield "usual, the far side up to three times worse", [replace(usual, far=3.0)]
    yield "any", [Sensor.draw(np.random.default_rng((SEED, n))) for n in range(POOR)]
    yield "any, poor", [Sensor.poor(np.random.default_rng((SEED, n))) for n in range(POOR)]


def walks(people: int) -> NDArray[np.float32]:
    """(people * WALKS, FRAMES, 17, 3) metres."""
    population = Population(SEED, "test", restless=RESTLESS)
    numbers = [(person, walk) for person in range(people) for walk in range(WALKS)]
    actors = (population.actor(person, 0, walk, frames=FRAMES, fps=FPS) for person, walk in numbers)
    return np.stack([actor.keypoints[:, :17].astype(np.float32) for actor in actors])


def measured(joints: NDArray[np.float32], sensor: Sensor) -> Measured:
    """Each walk as a sensor measures it."""
    times = np.arange(FRAMES) / FPS
    return [
        GaitSequence({SKELETON_3D: sensor.measure(walk, np.random.default_rng((SEED, number)))}, times)
        for number, walk in enumerate(joints)
    ]


def rank_1(vectors: NDArray[np.floating]) -> float:
    """Share of probes whose nearest first walk is their own; `vectors` is (people * WALKS, D)."""
    people = vectors.reshape(-1, WALKS, vectors.shape[1])
    gallery = people[:, 0]
    apart = np.square(people[:, 1:, None] - gallery).sum(3)
    return float((apart.argmin(2) == np.arange(len(gallery))[:, None]).mean())


def lengths(seen: Measured) -> NDArray[np.floating]:
    """(N, bones) limb lengths in standard deviations over all walks."""
    metres = np.stack([limb_lengths(walk) for walk in seen])
    return np.asarray(metres / np.maximum(metres.std(0), 1e-6))


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--encoders", nargs="+", default=["stickman3d"], help="names or weight files")
    parser.add_argument("--people", type=int, default=164)
    options = parser.parse_args()
    ways: dict[str, Callable[[Measured], NDArray[np.floating]]] = {"limb lengths": lengths}
    for name in options.encoders:
        encoder = load_encoder(name)
        ways[Path(name).stem] = lambda seen, e=encoder: np.stack([one.vector for one in e.batch(seen)])
    result: dict[str, Any] = harness.facts(__file__)
    joints = walks(options.people)
    for kind, examples in sensors():
        by_sensor = [measured(joints, sensor) for sensor in examples]
        result[kind] = {
            name: round(float(np.mean([rank_1(way(seen)) for seen in by_sensor])), 3)
            for name, way in ways.items()
        }
        print(kind, result[kind], flush=True)
    harness.save(result, options.out, show=False)


if __name__ == "__main__":
    main()
