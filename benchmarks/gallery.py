"""How far is the gallery from the bare parts it is made of?

Run from the repository root, on a quiet machine:

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/gallery.py

Rivals, in the same run: bare SQLite (WAL, FULL, one insert into one unindexed table a commit), a
bare `IndexFlatIP`, a numpy product with argpartition.
Vectors are random unit vectors of 256 dimensions, four templates a subject.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from gaitid.local import LocalMatcher
from gaitid.records import Embedding, GaitSequence, Quality

D, TEMPLATES = 256, 4
RESULTS = Path(__file__).with_name("results")


class Ready:
    """Stands for an encoder; only ready embeddings are used here."""

    name, modalities, min_frames, dimension, threshold, contract = "ready", ("silhouette",), 1, D, 0.5, "b"

    def __call__(self, sequence: GaitSequence) -> Embedding:
        """Not needed here."""
        raise NotImplementedError

    def batch(self, sequences: object) -> list[Embedding]:
        """Not needed here."""
        raise NotImplementedError


def unit_vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    """(count, D) float32, norm 1."""
    made = np.random.default_rng(seed).standard_normal((count, D), dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def opened(directory: str | Path) -> LocalMatcher:
    """A matcher for ready embeddings."""
    return LocalMatcher(Ready(), directory, assess=lambda sequence: Quality(100.0, len(sequence)))


def summary(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": middle, "q1": low, "q3": high, "repeats": len(values)}


def cpu_ms(act: Callable[[int], object], repeats: int) -> float:
    """CPU milliseconds of one call."""
    begin = time.process_time()
    for n in range(repeats):
        act(n)
    return (time.process_time() - begin) / repeats * 1e3


def enrol_rates(count: int, rounds: int) -> dict[str, object]:
    """Enrolments a second, one commit each, in turns with bare inserts of the same vectors."""
    rates: dict[str, list[float]] = {
        "bare_sqlite_full": [],
        "gallery": [],
        "gallery_8_threads": [],
        "delete": [],
    }
    vectors = unit_vectors(count)
    probes = [Embedding(vector, "b") for vector in vectors]
    with tempfile.TemporaryDirectory(dir=".") as bare, tempfile.TemporaryDirectory(dir=".") as ours:
        db = sqlite3.connect(Path(bare) / "bare.db", isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, vector BLOB)")
        matcher = opened(ours)
        matcher.create_gallery("g")

        def enrol(n: int, mark: str) -> None:
            matcher.enrol("g", f"{mark}-{n}", [probes[n]])

        for turn in range(rounds):
            acts: dict[str, Callable[[], object]] = {
                "bare_sqlite_full": lambda: [
                    db.execute("INSERT INTO t (name, vector) VALUES (?, ?)", (f"s{n}", vectors[n].tobytes()))
                    for n in range(count)
                ],
                "gallery": lambda turn=turn: [enrol(n, f"{turn}") for n in range(count)],
                "gallery_8_threads": lambda turn=turn: in_threads(8, count, lambda n: enrol(n, f"{turn}t")),
                "delete": lambda turn=turn: [
                    matcher.delete_subject("g", f"{turn}-{n}") for n in range(0, count, 4)
                ],
            }
            for name, act in acts.items():
                begin = time.perf_counter()
                act()
                done = count // 4 if name == "delete" else count
                rates[name].append(done / (time.perf_counter() - begin))
        matcher.close()
        db.close()
    ratio = [ours / bare for ours, bare in zip(rates["gallery"], rates["bare_sqlite_full"], strict=True)]
    return {
        **{f"{name}_per_s": summary(values) for name, values in rates.items()},
        "gallery_over_bare": summary(ratio),
    }


def in_threads(threads: int, count: int, act: Callable[[int], object]) -> None:
    """Call `act` for 0..count - 1, shared out among threads."""
    workers = [
        threading.Thread(target=lambda start=start: [act(n) for n in range(start, count, threads)])
        for start in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def identify_cost(templates: int, repeats: int, rounds: int) -> dict[str, object]:
    """CPU milliseconds of one identification, of the bare search, and of numpy; and the restart."""
    vectors, probes = unit_vectors(templates), unit_vectors(repeats, seed=1)
    questions = [Embedding(probe, "b") for probe in probes]
    times: dict[str, list[float]] = {"gallery": [], "bare_faiss": [], "numpy": []}
    with tempfile.TemporaryDirectory(dir=".") as directory:
        fill(directory, vectors)
        restarts = []
        for _ in range(3):
            begin = time.perf_counter()
            matcher = opened(directory)
            restarts.append(time.perf_counter() - begin)
            if len(restarts) < 3:
                matcher.close()
        faiss.omp_set_num_threads(1)
        flat = faiss.IndexFlatIP(D)
        flat.add(vectors)
        acts: dict[str, Callable[[int], object]] = {
            "gallery": lambda n: matcher.identify("g", questions[n]),
            "bare_faiss": lambda n: flat.search(probes[n : n + 1], 5),
            "numpy": lambda n: np.argpartition(-(vectors @ probes[n]), 5)[:5],
        }
        for _ in range(rounds):
            for name, act in acts.items():
                times[name].append(cpu_ms(act, repeats))
        begin = time.perf_counter()
        for n in range(20):
            matcher.delete_subject("g", f"s{n}")
        deletion = (time.perf_counter() - begin) / 20 * 1e3
        begin = time.perf_counter()
        for n in range(20):
            matcher.enrol("g", f"new{n}", [questions[n]])
        enrolment = (time.perf_counter() - begin) / 20 * 1e3
        matcher.close()
    extra = [ours - bare for ours, bare in zip(times["gallery"], times["bare_faiss"], strict=True)]
    return {
        "templates": templates,
        **{f"{name}_cpu_ms": summary(values) for name, values in times.items()},
        "gallery_minus_bare_faiss_cpu_ms": summary(extra),
        "restart_to_ready_s": sorted(restarts),
        "delete_subject_wall_ms": deletion,
        "enrol_wall_ms": enrolment,
    }


def fill(directory: str, vectors: NDArray[np.float32]) -> None:
    """Enrol all from 16 threads, which share commits."""
    matcher = opened(directory)
    matcher.create_gallery("g")
    subjects = len(vectors) // TEMPLATES

    def enrol(n: int) -> None:
        part = vectors[n * TEMPLATES : (n + 1) * TEMPLATES]
        matcher.enrol("g", f"s{n}", [Embedding(vector, "b") for vector in part])

    in_threads(16, subjects, enrol)
    matcher.close()


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--enrolments", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor() or "cpu",
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    report = {
        "command": "OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/gallery.py",
        "commit": commit,
        "date": time.strftime("%Y-%m-%d"),
        "machine": {"cpu": cpu, "cores": os.cpu_count(), "load": os.getloadavg()},
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "faiss": faiss.__version__,
            "sqlite": sqlite3.sqlite_version,
        },
        "enrol": enrol_rates(options.enrolments, options.rounds),
        "identify": [
            identify_cost(10_000, 200, options.rounds),
            identify_cost(100_000, 30, options.rounds),
        ],
    }
    print(json.dumps(report, indent=2))
    RESULTS.mkdir(exist_ok=True)
    name = f"gallery-{report['date']}-{cpu.replace(' ', '-').lower()}.json"
    (RESULTS / name).write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
