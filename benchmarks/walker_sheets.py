"""Contact sheets of synthetic walkers.

    python -m benchmarks.walker_sheets [--out out/] [--video vtest.avi]

With a video, masks of its walkers by our own extractor are drawn beside synthetic ones in `beside.png`.
That sheet shows real people: do not publish it.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmarks import harness, mask_statistics
from gaitid.synthetic import CONDITIONS, VIEWS, Camera, Population
from gaitid.synthetic.occlude import OCCLUSIONS
from gaitid.synthetic.scenes import GroundTruthWalker, named_scene

POPULATION = Population(11, "validation")


def tile(rows: list[list[np.ndarray]], scale: int = 2) -> np.ndarray:
    """Masks 0/1 of one size in one picture."""
    cells = [[np.pad(cell * np.uint8(255), 2, constant_values=60) for cell in row] for row in rows]
    whole = np.concatenate([np.concatenate(row, 1) for row in cells])
    return cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)


def spread(sequence: np.ndarray, count: int) -> list[np.ndarray]:
    """That many frames, evenly chosen."""
    return [sequence[k] for k in np.linspace(0, len(sequence) - 1, count).astype(int)]


def views() -> np.ndarray:
    """Eight subjects in the eleven views."""
    return tile([[POPULATION.sequence(i, view=v).silhouettes[20] for v in VIEWS] for i in range(8)])


def conditions() -> np.ndarray:
    """Eight subjects in each condition, four frames each, from the side."""
    return tile(
        [
            [
                m
                for c in CONDITIONS
                for m in spread(POPULATION.sequence(i, condition=c, frames=20).silhouettes, 4)
            ]
            for i in range(8, 16)
        ]
    )


def sessions() -> np.ndarray:
    """Six subjects on four days, three frames each."""
    return tile(
        [
            [
                m
                for s in range(4)
                for m in spread(POPULATION.sequence(i, s, view=72, frames=20).silhouettes, 3)
            ]
            for i in range(16, 22)
        ]
    )


def occlusions() -> np.ndarray:
    """Six subjects under each occlusion, four frames each."""
    return tile(
        [
            [
                m
                for o in OCCLUSIONS
                for m in spread(POPULATION.sequence(i, view=72, frames=40, occlusion=o).silhouettes, 4)
            ]
            for i in range(22, 28)
        ]
    )


def restless() -> np.ndarray:
    """Four subjects over four seconds from two sides, each walk calm and, below, restless."""
    calm, stirred = POPULATION, Population(POPULATION.seed, POPULATION.split, restless=2.0)
    return tile(
        [
            spread(population.sequence(i, view=v, frames=48, fps=12, height_px=110).silhouettes, 16)
            for i, v in ((0, 0), (1, 90), (4, 0), (5, 72))
            for population in (calm, stirred)
        ]
    )


def cameras() -> np.ndarray:
    """Two subjects by cameras 1.4, 3 and 4 m high: 25 degrees left, in the middle, 25 degrees right."""
    return tile(
        [
            [
                mask
                for aside in (-25.0, 0.0, 25.0)
                for mask in spread(
                    POPULATION.sequence(i, frames=20, camera=_above(v, height, aside)).silhouettes, 5
                )
            ]
            for i, v in ((1, 90.0), (4, 0.0))
            for height in (1.4, 3.0, 4.0)
        ]
    )


def _above(view: float, height: float, aside: float) -> Camera:
    return Camera.beside(view, distance=7.0, height=height, focal=450.0, aside=aside)


def clean() -> np.ndarray:
    """Six subjects over one second, without noise, 180 pixels tall."""
    rows = []
    for i in range(30, 36):
        camera = Camera.beside(75, distance=6, focal=640)
        walk = POPULATION.sequence(i, condition=CONDITIONS[i % 3], frames=25, camera=camera)
        masks = np.zeros((25, 230, 170), np.uint8)
        height, width = (min(a, b) for a, b in zip(walk.clean.shape[1:], masks.shape[1:], strict=True))
        masks[:, :height, :width] = walk.clean[:, :height, :width]
        rows.append(spread(masks, 9))
    return tile(rows, 1)


def painted() -> np.ndarray:
    """Twelve subjects painted as scenes paint them."""
    cells = []
    for i in range(12):
        actor = POPULATION.actor(40 + i, condition=CONDITIONS[i % 3], frames=12)
        labels, bright, _ = actor.painted(11, Camera.beside(30 + 25 * i, distance=6, focal=640))
        colours = np.random.default_rng(3).integers(60, 255, (16, 3))
        colours[0] = 0
        picture = np.zeros((240, 170, 3), np.uint8)
        part = (colours[labels] * (bright / 255)[..., None]).astype(np.uint8)[:240, :170]
        picture[: part.shape[0], : part.shape[1]] = part
        cells.append(picture)
    return np.concatenate([np.concatenate(cells[:6], 1), np.concatenate(cells[6:], 1)])


def scene() -> np.ndarray:
    """Moments of four scenes, each beside itself with the true outlines and keypoints drawn in."""
    rows = []
    for name, moments in (
        ("crossing", (150, 170)),
        ("crowd", (190, 240)),
        ("shadows", (150,)),
        ("posts", (170,)),
    ):
        for k, (frame, truth) in enumerate(named_scene(name, 2)):
            if k in moments:
                drawn = frame.image.copy()
                for sighting in truth.sightings:
                    _draw_truth(drawn, sighting)
                rows.append(np.concatenate([frame.image, drawn], 1))
            if k == max(moments):
                break
    left, right = (np.concatenate(rows[k::2]) for k in (0, 1))
    return cv2.resize(np.concatenate([left, right], 1), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def _draw_truth(image: np.ndarray, sighting: GroundTruthWalker) -> None:
    x, y, right, bottom = sighting.box.astype(int)
    part = image[y:bottom, x:right]
    outline, _ = cv2.findContours(sighting.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(part, outline, -1, (60, 220, 255), 1)
    for u, v, seen in sighting.keypoints:
        cv2.circle(image, (round(float(u)), round(float(v))), 2, (80, 255, 80) if seen else (80, 80, 255), -1)


def beside(video: Path) -> np.ndarray:
    """Rows of masks extracted from a video, each above a row of synthetic masks of like size and rate."""
    real = sorted(mask_statistics.real(video), key=len)[-40::4]
    made = mask_statistics.synthetic(len(real))
    return tile([spread(sequence, 16) for pair in zip(real, made, strict=True) for sequence in pair], 1)


def main() -> None:
    """Draw and write all sheets."""
    parser = harness.command_line(__file__, __doc__)
    parser.set_defaults(out=harness.ROOT / "out")
    parser.add_argument("--video", type=Path, help="video whose masks are drawn beside synthetic ones")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for draw in (views, conditions, sessions, occlusions, restless, cameras, clean, painted, scene):
        cv2.imwrite(str(options.out / f"{draw.__name__}.png"), draw())
    if options.video:
        cv2.imwrite(str(options.out / "beside.png"), beside(options.video))


if __name__ == "__main__":
    main()
