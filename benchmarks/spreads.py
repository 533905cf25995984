"""How much walkers differ between subjects and between days, measured on their joints.

python -m benchmarks.spreads [--people 100]
"""

from __future__ import annotations

import numpy as np

from benchmarks import harness
from gaitid.synthetic import Actor, Population

NAMES = ("cadence", "thigh_range", "thigh_mean", "speed")
REAL = {  # mean, between subjects, day to day of one subject: 25 people, two days, 1,811 cycles
    "cadence": (105.0, 10.1, 5.6),
    "thigh_range": (36.5, 3.6, 1.0),
    "thigh_mean": (4.5, 1.9, 1.7),
    "speed": (0.97, 0.11, 0.08),
}


def measure(walk: Actor) -> np.ndarray:
    """Cadence (steps/min), thigh range and mean (degrees), speed (m/s), as from motion capture."""
    forward = np.stack([np.cos(walk.heading), np.sin(walk.heading)], 1)
    angles = []
    for hip, knee in ((11, 13), (12, 14)):
        thigh = walk.keypoints[:, knee] - walk.keypoints[:, hip]
        angles.append(np.rad2deg(np.arctan2((thigh[:, :2] * forward).sum(1), -thigh[:, 2])))
    scissors = angles[0] - angles[1]
    sign = np.sign(scissors - scissors.mean())
    at = np.flatnonzero(sign[1:] * sign[:-1] < 0)
    part = scissors - scissors.mean()
    cross = at + part[at] / (part[at] - part[at + 1])
    step = (cross[-1] - cross[0]) / (len(cross) - 1) * (walk.times[1] - walk.times[0])
    stride = max(2, round(2 * step / (walk.times[1] - walk.times[0])))
    ranges, means = [], []
    for angle in angles:
        windows = np.lib.stride_tricks.sliding_window_view(angle, stride)
        ranges.append(np.ptp(windows, axis=1).mean())
        means.append(windows.mean())
    travelled = np.linalg.norm(np.diff(walk.root, axis=0), axis=1).sum()
    speed = travelled / (walk.times[-1] - walk.times[0])
    return np.array([60 / step, np.mean(ranges), np.mean(means), speed])


def table(
    population: Population, identities: int, sessions: int = 3, numbers: int = 3
) -> dict[str, dict[str, float]]:
    """Mean and spreads of every measure; days are means over the walks of a session."""
    values = np.array(
        [
            [
                np.mean([measure(population.actor(i, s, n, frames=75)) for n in range(numbers)], 0)
                for s in range(sessions)
            ]
            for i in range(identities)
        ]
    )  # (people, days, measures)
    return {
        name: {
            "mean": float(values[..., k].mean()),
            "people": float(values[..., k].mean(1).std(ddof=1)),
            "days": float(np.sqrt(values[..., k].var(1, ddof=1).mean())),
        }
        for k, name in enumerate(NAMES)
    }


def main() -> None:
    """Measure, print with the deviation from the real set, and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--people", type=int, default=100)
    options = parser.parse_args()
    found = table(Population(0, "train"), options.people)
    for name, row in found.items():
        cells = zip(row.items(), REAL[name], strict=True)
        print(
            f"{name:12s}", *(f"{key} {value:7.3f} ({value / real - 1:+.0%})" for (key, value), real in cells)
        )
    harness.save({**harness.facts(__file__), "people": options.people, **found}, options.out, show=False)


if __name__ == "__main__":
    main()
