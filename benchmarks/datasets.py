"""How many sequences a second are loaded: images, published pickles, prepared.

Usage: PYTHONPATH=. python benchmarks/datasets.py [--sequences 120] [--repeats 5] [--out results.json]

Writes a miniature CASIA-B of walks of 70 frames in 240x320 (the size and a typical length of the real
one), reads every test sequence by each way, and prints medians of CPU time over the repeats. The
files are in the page cache: this measures decoding, not the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np

from gaitid.datasets.base import Dataset, open_dataset
from gaitid.datasets.prepared import prepare
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
    """`count` walks of test subjects."""
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


def rate(read: Callable[[], int], repeats: int) -> dict[str, float]:
    """Sequences a CPU-second: median, lowest and highest of the repeats after one to warm up."""
    read()
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        count = read()
        rates.append(count / (time.process_time() - start))
    return {
        name: round(f(rates), 1) for name, f in (("median", statistics.median), ("min", min), ("max", max))
    }


def measure(sequences: int, repeats: int) -> dict[str, object]:
    """All ways on the same walks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = write_layout("casia-b", folder / "images", walks(sequences))
        pickles = write_layout("casia-b-pkl", folder / "pickles", walks(sequences))
        start = time.process_time()
        prepared = prepare(open_dataset("casia-b", images), folder / "prepared")
        seconds = time.process_time() - start
        ways = {
            "images (ours)": ours(open_dataset("casia-b", images)),
            "pickles (ours, nothing executed)": ours(open_dataset("casia-b", pickles)),
            "pickles (as peers: pickle.load, cut, float32)": peers(pickles),
            "prepared": ours(prepared),
        }
        return {
            "sequences": sequences,
            "frames_each": FRAMES,
            "sequences_per_cpu_s": {way: rate(read, repeats) for way, read in ways.items()},
            "prepare_sequences_per_cpu_s": round(sequences / seconds, 1),
            "bytes": {path.name: _size(path) for path in (images, pickles, folder / "prepared")},
        }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def machine() -> dict[str, str]:
    """What it ran on."""
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout
    return {
        "cpu": names[0].partition(":")[2].strip() if names else platform.processor(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "commit": commit.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequences", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    result = {"machine": machine(), "repeats": args.repeats, **measure(args.sequences, args.repeats)}
    text = json.dumps(result, indent=2)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
