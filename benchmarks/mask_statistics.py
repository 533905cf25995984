"""Masks of our own extractor on real video beside synthetic ones: thickness, roughness, holes, feet.

python -m benchmarks.mask_statistics [../shared/data/vtest.avi]
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks import harness
from gaitid.perception.pipeline import watch
from gaitid.perception.sources import open_source
from gaitid.synthetic import Population


def statistics(sequence: np.ndarray) -> dict[str, float]:
    """Means over the frames of one aligned sequence (T, 64, 44) uint8 0/1."""
    rows = []
    for mask in sequence:
        padded = np.pad(mask, 1)
        contours, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(np.zeros_like(padded), contours, -1, 1, cv2.FILLED)
        count, _, stats, _ = cv2.connectedComponentsWithStats(padded, connectivity=8)
        area = stats[1:, cv2.CC_STAT_AREA]
        width = mask.sum(1)
        left = np.where(width > 0, mask.argmax(1), np.nan)
        right = np.where(width > 0, 43 - mask[:, ::-1].argmax(1), np.nan)
        bends = np.abs(np.diff(np.stack([left, right]), 2, axis=1))
        runs = (np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(int), axis=1) == 1).sum(1)
        smooth = cv2.medianBlur(padded, 5)
        rows.append(
            {
                "area share": mask.mean(),
                "torso width": width[14:32].mean() / 64,
                "head width": width[2:8].mean() / 64,
                "leg width": width[44:60].mean() / 64,
                "bend of outline": np.nanmean(bends),
                "roughness": (smooth != padded).sum() / max(1, padded.sum()),
                "hole area": (filled.sum() - padded.sum()) / max(1, padded.sum()),
                "fragments": count - 2.0,
                "fragment area": 1 - area.max(initial=0) / max(1, area.sum()),
                "legs apart": (runs[44:62] > 1).mean(),
            }
        )
    flicker = (sequence[1:] != sequence[:-1]).sum((1, 2)) / np.maximum(1, sequence[1:].sum((1, 2)))
    upper = (sequence[1:, :30] != sequence[:-1, :30]).sum((1, 2)) / np.maximum(
        1, sequence[1:, :30].sum((1, 2))
    )
    out = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return out | {"change": float(flicker.mean()), "change, upper half": float(upper.mean())}


def real(video: Path) -> list[np.ndarray]:
    """Aligned sequences of at least 12 good frames."""
    walks = [walk for view in watch(open_source(str(video))) for walk in view.walks]
    found = [
        walk.sequence.silhouettes for walk in walks if walk.sequence is not None and len(walk.sequence) >= 12
    ]
    return [sequence for sequence in found if sequence is not None]


def synthetic(count: int, level: float = 1.0) -> list[np.ndarray]:
    """Sequences like those of the video: 10 fps, a high camera, 50 to 110 pixels tall."""
    population = Population(7, "validation")
    rng = np.random.default_rng(0)
    out = []
    for i in range(count):
        condition = ("nm", "bg", "cl")[i % 3]
        tall = float(rng.uniform(50, 110))
        walk = population.sequence(
            i, condition=condition, view=float(rng.uniform(0, 360)), frames=40, fps=10, height_px=tall
        )
        sequence = walk.sequence(level)
        out.append(sequence.silhouettes)
    return out


def table(video: Path) -> dict[str, dict[str, list[float]]]:
    """10 %, 50 % and 90 % quantiles over sequences, by statistic and set."""
    sets = {"real": real(video), "synthetic": synthetic(200), "clean": synthetic(60, 0.0)}
    rows = {name: [statistics(sequence) for sequence in found] for name, found in sets.items()}
    return {
        key: {
            name: np.quantile([row[key] for row in rows[name]], (0.1, 0.5, 0.9)).round(4).tolist()
            for name in sets
        }
        for key in rows["real"][0]
    }


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("video", nargs="?", type=Path, default=harness.DATA / "vtest.avi")
    options = parser.parse_args()
    found = table(options.video)
    for key, row in found.items():
        cells = (f"{name} {low:.3f} {middle:.3f} {high:.3f}  " for name, (low, middle, high) in row.items())
        print(f"{key:22s}", *cells)
    harness.save({**harness.facts(__file__), **found}, options.out, show=False)


if __name__ == "__main__":
    main()
