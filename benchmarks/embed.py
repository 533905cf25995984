"""What do quality and `gei` cost for 60 frames? Rival: the plain mean silhouette, in the same run.

OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/embed.py
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gaitid.encoders.base import load_encoder
from gaitid.evaluation.provenance import processor
from gaitid.quality import assess
from tests.drawn import walk

REPEATS, CALLS = 9, 40


def cpu_ms(task: Callable[[], object]) -> list[float]:
    """CPU milliseconds of one call, one figure a repeat."""
    figures = []
    for _ in range(REPEATS):
        start = time.process_time()
        for _ in range(CALLS):
            task()
        figures.append(1000 * (time.process_time() - start) / CALLS)
    return figures


def main() -> None:
    """Measure and save."""
    sequence = walk(seconds=2.4)
    gei = load_encoder("gei")
    masks = sequence.silhouettes
    assert masks is not None
    tasks: dict[str, Callable[[], object]] = {
        "assess": lambda: assess(sequence),
        "gei": lambda: gei(sequence),
        "rival_mean_silhouette": lambda: masks.mean(axis=0, dtype=np.float32),
    }
    figures = {name: cpu_ms(task) for name, task in tasks.items()}
    cpu = processor()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    result = {
        "command": "OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/embed.py",
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
        "machine": cpu,
        "frames": len(sequence),
        "repeats": REPEATS,
        "cpu_ms": {
            name: {"median": float(np.median(values)), "min": min(values), "max": max(values)}
            for name, values in figures.items()
        },
    }
    name = f"embed-{result['date']}-{cpu.lower().replace(' ', '-')}.json"
    (Path(__file__).parent / "results" / name).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["cpu_ms"], indent=1))


if __name__ == "__main__":
    main()
