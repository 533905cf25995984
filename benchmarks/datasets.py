"""How many sequences a second are loaded: images, published pickles, prepared data.

    OMP_NUM_THREADS=1 python -m benchmarks.datasets [--sequences 120] [--repeats 5]

Writes a miniature CASIA-B of walks of 70 frames in 240x320 (the size and a typical length of the real
one), reads every test sequence in each way, and reports medians of CPU time over the repeats. The
files are in the page cache: this measures decoding, not the disk.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from benchmarks import harness
from gaitid.datasets.base import Dataset
from gaitid.datasets.conversion import prepare
from gaitid.datasets.opening import open_dataset
from gaitid.synthetic.layouts import LayoutWalk, write_layout

FRAMES = 70


def draw(subject: int, number: int, view: int) -> np.ndarray:
    """(70, 240, 320) uint8 0/1: a body about 130 pixels tall that walks across the picture."""
    masks = np.zeros((FRAMES, 240, 320), np.uint8)
    for frame, mask in enumerate(masks):
        x, swing = 60 + frame * 3, int(20 * np.sin(frame / 4 + number)) * (1 + view % 3) // 3
        cv2.circle(mask, (x, 60), 10, 1, -1)
        cv2.ellipse(mask, (x, 100), (14 + subject % 6, 32), 0, 0, 360, 1, -1)
        for side in (-1, 1):
            cv2.line(mask, (x, 120), (x + side * swing, 190), 1, 12)
            cv2.line(mask, (x, 80), (x - side * swing // 2, 125), 1, 7)
    return masks


def walks(count: int) -> Iterator[LayoutWalk]:
    """That many walks of test subjects."""
    for index in range(count):
        subject, rest = divmod(index, 66)
        number, view = divmod(rest, 11)
        yield LayoutWalk(75 + subject, "nm", 1 + number, view * 18, draw(subject, number, view))


def peers(root: Path) -> Callable[[], int]:
    """What published loaders do: unpickle (trusting the file), cut 10 columns a side, scale to 0..1."""
    paths = sorted(root.rglob("*.pkl"))

    def read() -> int:
        for path in paths:
            array = pickle.loads(path.read_bytes())  # noqa: S301  (files written above)
            (array[:, :, 10:-10] / 255.0).astype(np.float32)
        return len(paths)

    return read


def ours(dataset: Dataset) -> Callable[[], int]:
    """Load every test sequence."""
    entries = dataset.entries("test")

    def read() -> int:
        for entry in entries:
            dataset.load(entry)
        return len(entries)

    return read


def rate(read: Callable[[], int], sequences: int, repeats: int) -> dict[str, float]:
    """Sequences per CPU-second: median, lowest and highest of the repeats after one to warm up."""
    read()
    return harness.extremes((sequences / harness.cpu_s(read) for _ in range(repeats)), 1)


def measure(sequences: int, repeats: int) -> dict[str, object]:
    """Figures of all ways on the same walks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = write_layout("casia-b", folder / "images", walks(sequences))
        pickles = write_layout("casia-b-pkl", folder / "pickles", walks(sequences))
        dataset = open_dataset("casia-b", images)
        seconds = harness.cpu_s(lambda: prepare(dataset, folder / "prepared"))
        ways = {
            "images (ours)": ours(open_dataset("casia-b", images)),
            "pickles (ours, nothing executed)": ours(open_dataset("casia-b", pickles)),
            "pickles (as peers: pickle.load, cut, float32)": peers(pickles),
            "prepared": ours(open_dataset("casia-b", folder / "prepared")),
        }
        return {
            "sequences": sequences,
            "frames_each": FRAMES,
            "sequences_per_cpu_s": {way: rate(read, sequences, repeats) for way, read in ways.items()},
            "prepare_sequences_per_cpu_s": round(sequences / seconds, 1),
            "bytes": {path.name: _size(path) for path in (images, pickles, folder / "prepared")},
        }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--sequences", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    found = {"opencv": cv2.__version__, "repeats": options.repeats}
    found |= measure(options.sequences, options.repeats)
    harness.save({**harness.facts(__file__), **found}, options.out)


if __name__ == "__main__":
    main()
