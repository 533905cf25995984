"""Whether the index is exact, small and fast enough, up to a million templates.

Run on a quiet machine (4 GB of memory, 2 GB of disk, ten minutes):

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.index

Rivals, in the same run and in turns: bare `IndexFlatIP` (scan of all), a numpy product with argpartition,
and where they are installed hnswlib and usearch. Graphs are built for 100,000 templates only: for a million
they take far longer than everything else.

The vectors are synthetic, not gait: 256 dimensions, four templates per subject (cosine 0.85-0.95 with the
direction of the subject), directions with a power-law spectrum, so that impostors reach the scores that
they reach with real embeddings, and hard mated probes (cosine with the best template about 0.52 / 0.71 / 0.89
at 5 / 50 / 95 %). Detection and identification rate (DIR): share of mated probes whose best candidate is
right and reaches the score that 1 % of impostors reach.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from benchmarks.gallery import TEMPLATES, D, opened
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, EnrolmentCheck

FPIR = 0.01
CHUNK = 25_000
"""Subjects made, or enrolled, at once."""

Vectors = NDArray[np.float32]
Ask = Callable[[Vectors], NDArray[np.int64]]
"""Rows (1, K) near a probe (1, D)."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPeople:
    """Drawn subjects, whose templates are drawn again at each use to save memory.

    Attributes:
        subjects: Number of subjects.
        who: (P,) subjects of the mated probes.
        probes: (P, D) float32.
        impostors: (S, D) float32, of none of the subjects.
    """

    subjects: int
    who: NDArray[np.int64]
    probes: Vectors
    impostors: Vectors

    def chunks(self) -> Iterator[tuple[int, Vectors]]:
        """First subject and templates (CHUNK * TEMPLATES, D) float32 of all, in the order of subjects."""
        for start in range(0, self.subjects, CHUNK):
            random = np.random.default_rng([2, start])
            centres = directions(random, min(CHUNK, self.subjects - start))
            templates = np.empty((len(centres) * TEMPLATES, D), np.float32)
            for n in range(TEMPLATES):
                templates[n::TEMPLATES] = walk(random, centres, random.uniform(0.85, 0.95, len(centres)))
            yield start, templates

    def all(self) -> Vectors:
        """Templates of all, (subjects * TEMPLATES, D)."""
        return np.concatenate([templates for _, templates in self.chunks()])


def people(subjects: int, probes: int, impostors: int) -> DrawnPeople:
    """Draw subjects, mated probes and impostors."""
    random = np.random.default_rng(1)
    who = np.sort(random.choice(subjects, probes, replace=False))
    centres = np.empty((probes, D), np.float32)
    for start in range(0, subjects, CHUNK):  # the same as in `DrawnPeople.chunks`
        made = directions(np.random.default_rng([2, start]), min(CHUNK, subjects - start))
        mine = (who >= start) & (who < start + CHUNK)
        centres[mine] = made[who[mine] - start]
    hard = np.clip(random.normal(0.745, 0.13, probes), 0.2, 0.97)
    return DrawnPeople(subjects, who, walk(random, centres, hard), directions(random, impostors))


def directions(random: np.random.Generator, count: int) -> Vectors:
    """(count, D) unit vectors with a power-law spectrum of variances."""
    spread = ((np.arange(D) + 8.0) ** -0.55).astype(np.float32)
    made = random.standard_normal((count, D), dtype=np.float32) * spread
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made @ _turn()


def _turn() -> Vectors:
    return np.linalg.qr(np.random.default_rng(0).standard_normal((D, D)))[0].astype(np.float32)


def walk(random: np.random.Generator, centres: Vectors, cosines: NDArray[np.float64]) -> Vectors:
    """(N, D) unit vectors with those cosines (N,) to `centres` (N, D)."""
    aside = directions(random, len(centres))
    aside -= (aside * centres).sum(axis=1, keepdims=True) * centres
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    near = cosines.astype(np.float32)[:, None]
    return near * centres + np.sqrt(1 - near**2) * aside


def dir_at_fpir(best_mated: Any, who: NDArray[np.int64], best_impostors: Any) -> dict[str, float]:
    """DIR at FPIR 1 % and rank 1 of the best (subject, score) of each probe."""
    found = np.array([subject for subject, _ in best_mated])
    scores = np.array([score for _, score in best_mated])
    threshold = float(np.quantile([score for _, score in best_impostors], 1 - FPIR))
    right = found == who
    return {
        "dir": float((right & (scores >= threshold)).mean()),
        "rank_1": float(right.mean()),
        "threshold": threshold,
    }


def rss() -> int:
    """Resident memory of this process, bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def fill(directory: Path, crowd: DrawnPeople) -> None:
    """Enrol all subjects, in commits of 5,000."""
    matcher = opened(directory)
    matcher.create_gallery("g")
    for start, templates in crowd.chunks():
        for at in range(0, len(templates), 5000 * TEMPLATES):
            some = templates[at : at + 5000 * TEMPLATES]
            first = start + at // TEMPLATES
            matcher.enrol_many(
                "g",
                {
                    f"s{first + n}": [
                        Embedding(one, "b") for one in some[n * TEMPLATES : (n + 1) * TEMPLATES]
                    ]
                    for n in range(len(some) // TEMPLATES)
                },
            )
    matcher.close()


# -- one size, in a process of its own, so that its memory is the gallery's -----------------------------


def figures(directory: Path, crowd: DrawnPeople, options: argparse.Namespace) -> dict[str, object]:
    """All figures of one gallery and of its rivals, which take turns."""
    opened(tempfile.mkdtemp(dir=directory)).close()  # late imports do not count as memory of the gallery
    before, begin, cpu = rss(), time.perf_counter(), time.process_time()
    matcher = opened(directory)
    ready, cpu = time.perf_counter() - begin, time.process_time() - cpu
    index = matcher._galleries["g"]._state.index
    index.settle()
    templates = crowd.subjects * TEMPLATES
    ours: dict[str, object] = {
        "restart_to_ready_s": ready,
        "restart_cpu_s": cpu,
        "rss_bytes_per_template": (rss() - before) / templates,
        "is_exact": index.is_exact,
        **dir_at_fpir(
            [first(matcher, Embedding(vector, "b")) for vector in crowd.probes],
            crowd.who,
            [first(matcher, Embedding(vector, "b")) for vector in crowd.impostors],
        ),
    }
    vectors = crowd.all()
    return {
        "templates": templates,
        "gallery": ours,
        "exact": exact_hits(vectors, crowd),
        "cpu": costs(matcher, vectors, crowd, options.rounds),
        "scans": scan_figures(vectors, crowd, options.rounds) if not index.is_exact else {},
        "graphs": graph_figures(vectors, crowd, options.rounds) if templates <= options.graphs else {},
        "waiting": waiting(matcher, [Embedding(vector, "b") for vector in crowd.probes], options.rounds),
    }


def costs(matcher: LocalMatcher, vectors: Vectors, crowd: DrawnPeople, rounds: int) -> dict[str, object]:
    """CPU milliseconds of an identification, of the index in it, and of bare scans of all."""
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(D)
    flat.add(vectors)
    index, probes = matcher._galleries["g"]._state.index, crowd.probes
    asked = [Embedding(vector, "b") for vector in probes]
    few = max(3, 3_000_000 // len(vectors))
    acts: dict[str, tuple[int, Callable[[int], object]]] = {
        "identify": (max(few, 100), lambda n: matcher.identify("g", asked[n])),
        "our_index": (max(few, 100), lambda n: index.search(probes[n : n + 1], 52)),
        "bare_faiss_flat": (few, lambda n: flat.search(probes[n : n + 1], 20)),
        "numpy": (max(1, few // 4), lambda n: np.argpartition(-(vectors @ probes[n]), 20)[:20]),
        "bare_faiss_flat_32": (1, lambda _: flat.search(probes[:32], 20)),
    }
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, (repeats, act) in acts.items():
            times[name].append(harness.cpu_ms(act, repeats) / (32 if name.endswith("_32") else 1))
    allowed = [1.1 * bare + 0.3 for bare in times["bare_faiss_flat"]]
    ratios = [ours / most for ours, most in zip(times["identify"], allowed, strict=True)]
    return {
        **{f"{name}_ms": harness.quartiles(values) for name, values in times.items()},
        "identify_over_1.1_bare_and_0.3_ms": harness.quartiles(ratios),
    }


def exact_hits(vectors: Vectors, crowd: DrawnPeople) -> dict[str, float]:
    """DIR of a scan of all."""
    ask = Scan(vectors)
    return dir_at_fpir(ask.best(crowd.probes), crowd.who, ask.best(crowd.impostors))


class Scan:
    """The best row of all for each probe, exactly."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def best(self, probes: Vectors) -> list[tuple[int, float]]:
        """Subject and score of each of `probes`."""
        scores, ids = faiss.knn(probes, self._vectors, 1, metric=faiss.METRIC_INNER_PRODUCT)
        return [(int(n) // TEMPLATES, float(score)) for n, score in zip(ids[:, 0], scores[:, 0], strict=True)]


def first(matcher: LocalMatcher, probe: Embedding) -> tuple[int, float]:
    """Subject and score of the best candidate."""
    best = matcher.identify("g", probe, max_candidates=1).candidates[0]
    return int(best.subject[1:]), best.score


def waiting(matcher: LocalMatcher, probes: list[Embedding], rounds: int) -> dict[str, object]:
    """Milliseconds of identifications, in turns alone and beside a thread that enrols and deletes."""
    stop = threading.Event()
    counts = {"writes": 0}

    def write(name: str) -> None:
        n = 0
        while not stop.is_set():
            matcher.enrol("g", f"{name}-{n}", [probes[n % len(probes)]], check=EnrolmentCheck.OFF)
            if n % 4 == 3:
                matcher.delete_subject("g", f"{name}-{n - 2}")
            n += 1
        counts["writes"] += n

    def ask() -> list[float]:
        times = []
        for n in range(min(500, len(probes))):
            begin = time.perf_counter()
            matcher.identify("g", probes[n])
            times.append((time.perf_counter() - begin) * 1e3)
        return times

    quiet, beside, seconds = [], [], 0.0
    for turn in range(rounds):
        quiet.append(np.quantile(ask(), [0.5, 0.99]))
        stop.clear()
        writer = threading.Thread(target=write, args=(f"new{turn}",))
        writer.start()
        begin = time.perf_counter()
        beside.append(np.quantile(ask(), [0.5, 0.99]))
        stop.set()
        writer.join()
        seconds += time.perf_counter() - begin
    ratios = [loud[1] / calm[1] for loud, calm in zip(beside, quiet, strict=True)]
    return {
        "quiet_p50_p99_ms": np.median(quiet, axis=0).tolist(),
        "writer_p50_p99_ms": np.median(beside, axis=0).tolist(),
        "p99_ratio": {"median": statistics.median(ratios), "all": ratios},
        "writes_per_s": counts["writes"] / seconds,
    }


# -- rivals ------------------------------------------------------------------------------------------


def scan_figures(vectors: Vectors, crowd: DrawnPeople, rounds: int) -> dict[str, object]:
    """Both kinds of FastScan with all rows in one index; the best 100 are scored exactly."""
    return {
        name: _tried(lambda rows, kind=kind: _fast_scan(rows, kind), vectors, crowd, rounds)
        for name, kind in (("pq_fast_scan", f"PQ{D // 4}x4fs"), ("rabitq_fast_scan", "RaBitQfs"))
    }


def _fast_scan(vectors: Vectors, kind: str) -> Ask:
    index = faiss.index_factory(D, kind, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[np.random.default_rng(0).choice(len(vectors), 65_536, replace=False)])
    index.add(vectors)
    return lambda probes: index.search(probes, 100)[1]


def graph_figures(vectors: Vectors, crowd: DrawnPeople, rounds: int) -> dict[str, object]:
    """Graph indexes, where their packages are installed."""
    return {
        "hnswlib": _tried(_hnswlib, vectors, crowd, rounds),
        "usearch_i8": _tried(_usearch, vectors, crowd, rounds),
    }


def _tried(make: Callable[[Vectors], Ask], vectors: Vectors, crowd: DrawnPeople, rounds: int) -> object:
    begin = time.process_time()
    try:
        ask = make(vectors)
    except ModuleNotFoundError as error:
        return f"skipped: {error.name} is not installed"
    built = time.process_time() - begin

    def best(probes: Vectors) -> list[tuple[int, float]]:
        found = []
        for probe in probes:  # the rows found are scored exactly
            ids = ask(probe[None])[0]
            scores = vectors[ids] @ probe
            found.append((int(ids[scores.argmax()]) // TEMPLATES, float(scores.max())))
        return found

    return {
        "build_cpu_s": built,
        "cpu_ms": harness.quartiles(
            [harness.cpu_ms(lambda n: ask(crowd.probes[n : n + 1]), 100) for _ in range(rounds)]
        ),
        **dir_at_fpir(best(crowd.probes), crowd.who, best(crowd.impostors)),
    }


def _hnswlib(vectors: Vectors) -> Ask:
    import hnswlib

    index = hnswlib.Index(space="ip", dim=D)
    index.init_index(max_elements=len(vectors), ef_construction=200, M=16)
    index.set_num_threads(1)
    index.add_items(vectors)
    index.set_ef(128)

    return lambda probes: index.knn_query(probes, 20)[0].astype(np.int64)


def _usearch(vectors: Vectors) -> Ask:
    from usearch.index import Index

    index = Index(ndim=D, metric="ip", dtype="i8", connectivity=16, expansion_search=128)
    index.add(np.arange(len(vectors)), vectors, threads=1)

    return lambda probes: np.atleast_2d(index.search(probes, 20, threads=1).keys).astype(np.int64)


# -- all of it ---------------------------------------------------------------------------------------


def measured(templates: int, options: argparse.Namespace) -> dict[str, object]:
    """Figures of one size."""
    crowd = people(templates // TEMPLATES, options.probes, options.impostors)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        begin = time.perf_counter()
        fill(Path(folder), crowd)
        filled = time.perf_counter() - begin
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "benchmarks.index",
                "--inside",
                folder,
                "--templates",
                str(templates),
                *_passed(options),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
    report = {**json.loads(done.stdout), "fill_s": filled}
    print(json.dumps(report, indent=2), flush=True)
    return report


def _passed(options: argparse.Namespace) -> list[str]:
    names = ("probes", "impostors", "rounds", "graphs")
    return [word for name in names for word in (f"--{name}", str(getattr(options, name)))]


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--templates", type=int, nargs="+", default=[100_000, 200_000, 1_000_000])
    parser.add_argument("--probes", type=int, default=1000)
    parser.add_argument("--impostors", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--graphs", type=int, default=100_000, help="build graphs up to so many templates")
    parser.add_argument("--scratch", type=Path, default=Path("out"), help="folder for galleries")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    if options.inside:
        crowd = people(options.templates[0] // TEMPLATES, options.probes, options.impostors)
        print(json.dumps(figures(options.inside, crowd, options)))
        return
    report = {
        **harness.facts(__file__),
        "faiss": faiss.__version__,
        "vectors": "synthetic, see benchmarks/index.py",
        "sizes": [measured(templates, options) for templates in options.templates],
    }
    harness.save(report, options.out, show=False)


if __name__ == "__main__":
    main()
