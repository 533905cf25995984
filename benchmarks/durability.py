"""What durability costs: enrolling, importing, opening, backing up.

    OMP_NUM_THREADS=1 python -m benchmarks.durability [--folder FOLDER]

Rivals, in the same run and in turns, on the same disk (WAL, synchronous FULL, one enrolment per commit):
bare SQLite with one insert into one unindexed table, and bare SQLite with the rows and indexes that an
enrolment of ours writes. Vectors are random unit vectors of 256 dimensions.
"""

from __future__ import annotations

import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness
from benchmarks.gallery import TEMPLATES, StubEncoder, unit_vectors
from gaitid.gallery.care.backup import back_up, restore, verify
from gaitid.gallery.care.doctor import examining
from gaitid.gallery.store.keys import KeyRing
from gaitid.local import LocalMatcher
from gaitid.records import Embedding, EnrolmentCheck


def _summary(values: list[float]) -> dict[str, float]:
    return harness.quartiles(values, 4)


def bare(folder: str) -> sqlite3.Connection:
    """Open a database with WAL and full synchronisation."""
    db = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    return db


def one_table(folder: str, vectors: NDArray[np.float32]) -> Callable[[int], object]:
    """A function that inserts the n-th vector into one table."""
    db = bare(folder)
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, vector BLOB)")
    insert = "INSERT INTO t (name, vector) VALUES (?, ?)"
    return lambda n: db.execute(insert, (f"s{n}", vectors[n].tobytes()))


def same_rows(folder: str, vectors: NDArray[np.float32]) -> Callable[[int], object]:
    """A function that writes the rows and indexes of one enrolment."""
    db = bare(folder)
    db.execute("CREATE TABLE g (id INTEGER PRIMARY KEY, revision INTEGER)")
    db.execute("INSERT INTO g VALUES (1, 0)")
    db.execute("CREATE TABLE s (id INTEGER PRIMARY KEY, g INTEGER, name TEXT, at REAL, UNIQUE (g, name))")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, s INTEGER, vector BLOB, at REAL)")
    db.execute("CREATE INDEX ts ON t (s)")

    def act(n: int) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE g SET revision = revision + 1 WHERE id = 1")
        key = db.execute("INSERT INTO s (g, name, at) VALUES (1, ?, ?)", (f"s{n}", 1.5)).lastrowid
        db.execute("INSERT INTO t (s, vector, at) VALUES (?, ?, ?)", (key, vectors[n].tobytes(), 1.5))
        db.execute("COMMIT")

    return act


def ours(folder: str, vectors: NDArray[np.float32], check: EnrolmentCheck) -> Callable[[int], object]:
    """A function that enrols the n-th vector."""
    matcher = LocalMatcher(StubEncoder(), folder)
    matcher.create_gallery("g")
    probes = [Embedding(vector, "b") for vector in vectors]
    return lambda n: matcher.enrol("g", f"s{n}", [probes[n]], check=check)


def enrol_rates(count: int, rounds: int, base: Path) -> dict[str, object]:
    """Enrolments per second and CPU microseconds of one, in turns; ratios within a turn."""
    vectors = unit_vectors(count * rounds)
    with tempfile.TemporaryDirectory(dir=base) as folder:
        places = [tempfile.mkdtemp(dir=folder) for _ in range(4)]
        acts = {
            "bare_one_table": one_table(places[0], vectors),
            "bare_same_rows": same_rows(places[1], vectors),
            "ours_unchecked": ours(places[2], vectors, EnrolmentCheck.OFF),
            "ours": ours(places[3], vectors, EnrolmentCheck.WARN),
        }
        rates: dict[str, list[float]] = {name: [] for name in acts}
        costs: dict[str, list[float]] = {name: [] for name in acts}
        for turn in range(rounds):
            for name, act in acts.items():
                wall, cpu = time.perf_counter(), time.process_time()
                for n in range(turn * count, (turn + 1) * count):
                    act(n)
                rates[name].append(count / (time.perf_counter() - wall))
                costs[name].append((time.process_time() - cpu) / count * 1e6)
    ratios = {
        f"{name}_over_{rival}": _summary([a / b for a, b in zip(rates[name], rates[rival], strict=True)])
        for name in ("ours", "ours_unchecked")
        for rival in ("bare_one_table", "bare_same_rows")
    }
    return {
        "per_s": {name: _summary(values) for name, values in rates.items()},
        "cpu_us": {name: _summary(values) for name, values in costs.items()},
        "per_s_by_turn": {name: [round(value) for value in values] for name, values in rates.items()},
        **ratios,
    }


def bulk(templates: int, base: Path, *, seals: bool) -> dict[str, object]:
    """Import templates in one change; then open, back up, verify, restore and examine them."""
    vectors = unit_vectors(templates)
    keys = KeyRing(lambda: {"a": bytes(32)}) if seals else None
    with tempfile.TemporaryDirectory(dir=base) as folder:
        data, backups = Path(folder) / "data", Path(folder) / "backups"
        matcher = LocalMatcher(StubEncoder(), data, keys=keys)
        matcher.create_gallery("g")
        people = {
            f"s{n}": [Embedding(vector, "b") for vector in vectors[n : n + TEMPLATES]]
            for n in range(0, templates, TEMPLATES)
        }
        took = {"import": harness.wall_and_cpu(lambda: matcher.enrol_many("g", people))}
        matcher.close()
        took["open"] = harness.wall_and_cpu(lambda: LocalMatcher(StubEncoder(), data, keys=keys).close())
        matcher = LocalMatcher(StubEncoder(), data, keys=keys)
        took["back_up"] = harness.wall_and_cpu(lambda: back_up(matcher._store, backups))
        matcher.close()
        (backup,) = backups.iterdir()
        took["verify"] = harness.wall_and_cpu(lambda: verify(backup))
        took["restore"] = harness.wall_and_cpu(lambda: restore(backup, Path(folder) / "again"))
        took["examine"] = harness.wall_and_cpu(lambda: examine(data, keys))
        size = (data / "gaitid.db").stat().st_size
    return {
        "templates": templates,
        "sealed": seals,
        **took,
        "imported_templates_per_wall_s": round(templates / took["import"]["wall_s"]),
        "imported_templates_per_cpu_s": round(templates / took["import"]["cpu_s"]),
        "database_bytes_per_template": round(size / templates),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def examine(data: Path, keys: KeyRing | None) -> None:
    """Run all checks of ``gaitid doctor --data``."""
    with examining(data, keys) as checks:
        for _, check in checks:
            check()


def main() -> None:
    """Measure, print and save."""
    parser = harness.command_line(__file__, __doc__)
    parser.add_argument("--enrolments", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--templates", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("out"), help="on the disk to measure")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    report = {
        **harness.facts(__file__),
        "sqlite": sqlite3.sqlite_version,
        "enrol": enrol_rates(options.enrolments, options.rounds, options.folder),
        "bulk": [bulk(options.templates, options.folder, seals=seals) for seals in (False, True)],
    }
    harness.save(report, options.out)


if __name__ == "__main__":
    main()
