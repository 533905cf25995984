"""How long closed-set evaluation takes, and how much memory, against the plain ranking loop.

    OMP_NUM_THREADS=1 python -m benchmarks.evaluation [--repeats 3] [--only WORDS]

Embeddings are random around a centre for each subject; the arithmetic does not depend on what they
are. Both sides give the same figures, which is checked. CPU seconds of one process, one thread,
median of `--repeats` (the slow cases run once); peak memory is that of a fresh process for each case.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import sys
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from gaitid.datasets.protocol import Group, Labels, Pick, Protocol
from gaitid.evaluation.experiment import evaluate, plain
from gaitid.evaluation.identification import rates, search
from gaitid.evaluation.scores import Metric, check_embeddings

Array = NDArray[np.float32]

GROUP = Group("all", Pick(sequences=("1",)), Pick(sequences=("0",)))
POOLED = Protocol("bench/pooled", "", (GROUP,), "pooled", "nothing", "probes", precision=True)
MATRIX = Protocol("bench/matrix", "", (GROUP,), "cells", "view", "cells")


def labelled(rows: int, views: int, parts: int = 16, dimension: int = 256) -> tuple[Array, Labels]:
    """`rows` probes and as many gallery sequences; a subject has one of each in every view."""
    subjects = -(-rows // views)
    names = [(f"{i // views:05d}", f"{i % views:02d}") for i in range(rows)]
    labels = Labels.of(
        [s for s, _ in names] * 2, [v for _, v in names] * 2, [""] * 2 * rows, ["0"] * rows + ["1"] * rows
    )
    random = np.random.default_rng(0)
    centres = random.standard_normal((subjects, parts, dimension), np.float32)
    embeddings = random.standard_normal((2 * rows, parts, dimension), np.float32)
    embeddings *= 5
    for row in range(2 * rows):  # row by row, so that the input does not set the peak of memory
        embeddings[row] += centres[row % rows // views]
    return embeddings, labels


def ours(embeddings: Array, labels: Labels, protocol: Protocol, metric: Metric) -> dict[str, float]:
    """Closed-set figures by `gaitid.evaluation.identification`."""
    parts = check_embeddings(embeddings, len(labels))
    found = rates(search(parts, labels, GROUP, protocol, metric=metric), labels, protocol, "ours")
    return plain({"rank-1": found.rank[1], "mAP": found.map})


def everything(embeddings: Array, labels: Labels, protocol: Protocol, metric: Metric) -> dict[str, float]:
    """The whole document: closed set, verification, open set, calibration, breakdown."""
    group = evaluate(embeddings, labels, protocol)["groups"][0]["identification"]
    return {"rank-1": group["rank"]["1"], "mAP": group["map"]}


def loop(embeddings: Array, labels: Labels, protocol: Protocol, metric: Metric) -> dict[str, float]:
    """The plain way: a product per part, a full argsort, a Python loop over probes."""
    probes, gallery = (np.flatnonzero(mask) for mask in GROUP.masks(labels))
    x, y = embeddings[probes], embeddings[gallery]
    distance = np.zeros((len(x), len(y)), np.float32)
    if metric == "cos":
        x = x / np.linalg.norm(x, axis=2, keepdims=True)
        y = y / np.linalg.norm(y, axis=2, keepdims=True)
    for part in range(x.shape[1]):
        a, b = x[:, part], y[:, part]
        if metric == "cos":
            distance -= a @ b.T
        else:
            square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
            distance += np.sqrt(np.maximum(square, 0))
    order = np.argsort(distance, axis=1)
    first, precision = [], []
    for row, probe in enumerate(probes):
        match = (labels.subject[gallery][order[row]] == labels.subject[probe]).astype(np.int32)
        if not match.any():
            continue
        first.append(match[0])
        count = match.cumsum()
        share = np.asarray([c / (i + 1.0) for i, c in enumerate(count)]) * match
        precision.append(share.sum() / match.sum())
    return {"rank-1": float(np.mean(first)), "mAP": float(np.mean(precision))}


CASES = {
    # name: (function, rows, views, parts, dimension, protocol, metric)
    "pooled cos 5,000 x 5,000, 16x256": (ours, 5000, 5, 16, 256, POOLED, "cos"),
    "pooled euc 5,000 x 5,000, 16x256": (ours, 5000, 5, 16, 256, POOLED, "euc"),
    "loop cos 5,000 x 5,000, 16x256": (loop, 5000, 5, 16, 256, POOLED, "cos"),
    "loop euc 5,000 x 5,000, 16x256": (loop, 5000, 5, 16, 256, POOLED, "euc"),
    "all figures cos 5,000 x 5,000, 16x256": (everything, 5000, 5, 16, 256, POOLED, "cos"),
    "14x14 views cos 10,000 x 10,000, 16x256": (ours, 10_000, 14, 16, 256, MATRIX, "cos"),
    "14x14 views euc 10,000 x 10,000, 16x256": (ours, 10_000, 14, 16, 256, MATRIX, "euc"),
    "all figures cos 14x14 views 10,000 x 10,000": (everything, 10_000, 14, 16, 256, MATRIX, "cos"),
    "14x14 views cos 72,000 x 72,000, 1x256": (ours, 72_000, 14, 1, 256, MATRIX, "cos"),
}


def measure(name: str, pipe: Connection) -> None:
    """Run one case in a fresh process."""
    function, rows, views, parts, dimension, protocol, metric = CASES[name]
    embeddings, labels = labelled(rows, views, parts, dimension)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures: dict[str, float] = {}
    cpu = harness.cpu_s(lambda: figures.update(function(embeddings, labels, protocol, metric)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send({"cpu_s": cpu, "peak_mb": peak / 1024, "input_mb": before / 1024, **figures})


def run(name: str, repeats: int) -> dict[str, Any]:
    """The median of several runs of one case."""
    runs = []
    for _ in range(repeats):
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=measure, args=(name, there))
        process.start()
        runs.append(here.recv())
        process.join()
    cpu = [one["cpu_s"] for one in runs]
    return {**runs[0], "cpu_s": statistics.median(cpu), "cpu_s_all": cpu}


def main() -> None:
    """Run the cases, compare both sides, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        sys.exit("set OMP_NUM_THREADS=1: CPU seconds of several threads cannot be compared")
    results = {}
    for name in CASES:
        if options.only in name:
            repeats = 1 if name.startswith("loop") or "72,000" in name else options.repeats
            results[name] = one = run(name, repeats)
            print(
                f"{name:<48} {one['cpu_s']:8.2f} CPU-s  peak {one['peak_mb']:6.0f} MB "
                f"(input {one['input_mb']:.0f})  rank-1 {one['rank-1']:.4f}",
                flush=True,
            )
    for metric in ("cos", "euc"):
        pair = [results.get(f"{kind} {metric} 5,000 x 5,000, 16x256") for kind in ("pooled", "loop")]
        if all(pair):
            assert abs(pair[0]["rank-1"] - pair[1]["rank-1"]) < 1e-3, "both sides disagree"
            assert abs(pair[0]["mAP"] - pair[1]["mAP"]) < 1e-4, "both sides disagree"
    report = {**harness.facts(__file__), "repeats": options.repeats, "threads": 1, "results": results}
    harness.save(report, options.out, show=False)


if __name__ == "__main__":
    main()
