"""How far the gallery is from the bare parts it is made of.

    OMP_NUM_THREADS=1 python -m benchmarks.gallery

Rivals, in the same run: bare SQLite (WAL, FULL, one insert into one unindexed table per commit), a
bare `IndexFlatIP`, a numpy product with argpartition.
Vectors are random unit vectors of 256 dimensions, four templates per subject.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, GaitSequence, Quality

D, TEMPLATES = 256, 4


class StubEncoder:
    """Stub of an encoder; benchmarks of galleries pass ready embeddings."""

    name, modalities, min_frames, dimension, threshold, contract = "ready", ("silhouette",), 1, D, 0.5, "b"

    def __call__(self, sequence: GaitSequence) -> Embedding:
        """Not called."""
        raise NotImplementedError

    def batch(self, sequences: object) -> list[Embedding]:
        """Not called."""
        raise NotImplementedError


def unit_vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    """(count, D) float32, norm 1."""
    made = np.random.default_rng(seed).standard_normal((count, D), dtype=np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def opened(directory: str | Path) -> LocalMatcher:
    """A matcher for ready embeddings."""
    return LocalMatcher(StubEncoder(), directory, assess=lambda sequence: Quality(100.0, len(sequence)))


def enrol_rates(count: int, rounds: int) -> dict[str, object]:
    """Enrolments per second, one commit each, in turns with bare inserts of the same vectors."""
    rates: dict[str, list[float]] = {
        "bare_sqlite_full": [],
        "gallery": [],
        "gallery_8_threads": [],
        "delete": [],
    }
    vectors = unit_vectors(count)
    probes = [Embedding(vector, "b") for vector in vectors]
    with harness.scratch() as bare, harness.scratch() as ours:
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
        **{f"{name}_per_s": harness.quartiles(values) for name, values in rates.items()},
        "gallery_over_bare": harness.quartiles(ratio),
    }


def in_threads(threads: int, count: int, act: Callable[[int], object]) -> None:
    """Call `act` for 0..count - 1, spread over threads."""
    workers = [
        threading.Thread(target=lambda start=start: [act(n) for n in range(start, count, threads)])
        for start in range(threads)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def identify_cost(templates: int, repeats: int, rounds: int) -> dict[str, object]:
    """CPU milliseconds of one identification, of the bare search and of numpy; seconds to restart."""
    vectors, probes = unit_vectors(templates), unit_vectors(repeats, seed=1)
    questions = [Embedding(probe, "b") for probe in probes]
    times: dict[str, list[float]] = {"gallery": [], "bare_faiss": [], "numpy": []}
    with harness.scratch() as directory:
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
                times[name].append(harness.cpu_ms(act, repeats))
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
        **{f"{name}_cpu_ms": harness.quartiles(values) for name, values in times.items()},
        "gallery_minus_bare_faiss_cpu_ms": harness.quartiles(extra),
        "restart_to_ready_s": sorted(restarts),
        "delete_subject_wall_ms": deletion,
        "enrol_wall_ms": enrolment,
    }


def fill(directory: str, vectors: NDArray[np.float32]) -> None:
    """Enrol all vectors from 16 threads, which share commits."""
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
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--enrolments", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    report = {
        **harness.facts(__file__),
        "faiss": faiss.__version__,
        "sqlite": sqlite3.sqlite_version,
        "enrol": enrol_rates(options.enrolments, options.rounds),
        "identify": [
            identify_cost(10_000, 200, options.rounds),
            identify_cost(100_000, 30, options.rounds),
        ],
    }
    harness.save(report, options.out)


if __name__ == "__main__":
    main()
