"""What quality and `gei` cost for 60 frames. Rival: the plain mean silhouette, in the same run.

OMP_NUM_THREADS=1 python -m benchmarks.embed
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import harness
from gaitid.encoders.base import load_encoder
from gaitid.quality import assess
from tests.drawn import walk

REPEATS, CALLS = 9, 40


def main() -> None:
    """Measure, print and save."""
    options = harness.command_line(__file__, __doc__).parse_args()
    sequence = walk(seconds=2.4)
    gei = load_encoder("gei")
    masks = sequence.silhouettes
    assert masks is not None
    tasks: dict[str, Callable[[int], object]] = {
        "assess": lambda _: assess(sequence),
        "gei": lambda _: gei(sequence),
        "rival_mean_silhouette": lambda _: masks.mean(axis=0, dtype=np.float32),
    }
    report = {
        **harness.facts(__file__),
        "frames": len(sequence),
        "repeats": REPEATS,
        "cpu_ms": {
            name: harness.extremes(harness.cpu_ms_rounds(task, CALLS, REPEATS))
            for name, task in tasks.items()
        },
    }
    harness.save(report, options.out)


if __name__ == "__main__":
    main()
