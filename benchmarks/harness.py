"""Command line, CPU times, spread, provenance and result files, shared by all benchmarks.

Run a benchmark from the root of the repository, on a quiet machine:

    OMP_NUM_THREADS=1 python -m benchmarks.NAME

It writes ``benchmarks/results/NAME.json``, or the file given with ``--out``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gaitid.evaluation.provenance import provenance

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DATA = Path(os.environ.get("GAITID_TEST_DATA", ROOT.parent / "shared" / "data"))
"""Directory of the real inputs, such as ``vtest.avi``."""


def command_line(script: str, doc: str | None) -> argparse.ArgumentParser:
    """A parser with the help text of a benchmark and the option ``--out``.

    Args:
        script: ``__file__`` of the benchmark.
        doc: Its module docstring.
    """
    name = Path(script).stem
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=RESULTS / f"{name.replace('_', '-')}.json",
        help="file of the result; default: %(default)s",
    )
    return parser


def log_progress() -> None:
    """Print the log at level INFO, for benchmarks that run for hours."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")


def facts(script: str) -> dict[str, Any]:
    """Command, commit, machine, load and versions of this run."""
    threads = os.environ.get("OMP_NUM_THREADS")
    words = [f"OMP_NUM_THREADS={threads}"] if threads else []
    command = [*words, "python", "-m", f"benchmarks.{Path(script).stem}", *sys.argv[1:]]
    load = [round(value, 2) for value in os.getloadavg()]
    return {**provenance(" ".join(command)), "cores": os.cpu_count(), "load": load}


def save(report: Mapping[str, Any], path: Path, *, show: bool = True) -> None:
    """Write a report as JSON, and print it when `show` is true."""
    text = json.dumps(report, indent=1)
    if show:
        print(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A temporary directory on the disk of the repository, for figures that depend on the disk."""
    (ROOT / "out").mkdir(exist_ok=True)
    return tempfile.TemporaryDirectory(dir=ROOT / "out")


def cpu_s(act: Callable[[], object]) -> float:
    """CPU seconds of one call, all threads of this process."""
    start = time.process_time()
    act()
    return time.process_time() - start


def cpu_ms(act: Callable[[int], object], calls: int, first: int = 0) -> float:
    """Mean CPU milliseconds of a call.

    Args:
        act: Gets the number of the call.
        calls: Number of calls.
        first: Number of the first call.
    """
    return 1e3 * cpu_s(lambda: [act(number) for number in range(first, first + calls)]) / calls


def cpu_ms_rounds(act: Callable[[int], object], calls: int, rounds: int) -> list[float]:
    """Mean CPU milliseconds of a call in each of several rounds; calls are numbered through."""
    return [cpu_ms(act, calls, number * calls) for number in range(rounds)]


def wall_and_cpu(act: Callable[[], object]) -> dict[str, float]:
    """Wall-clock and CPU seconds of one call."""
    wall = time.perf_counter()
    cpu = cpu_s(act)
    return {"wall_s": round(time.perf_counter() - wall, 3), "cpu_s": round(cpu, 3)}


def in_turns(kinds: Mapping[str, Callable[[int], float]], rounds: int) -> dict[str, list[float]]:
    """Measurements of several kinds that take turns, so that all meet the same load.

    Args:
        kinds: Name to a function of the number of the round.
        rounds: Number of rounds.

    Returns:
        Name to one value per round.
    """
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(rounds):
        for name, measure in kinds.items():
            found[name].append(measure(turn))
    return found


def quartiles(values: Iterable[float], digits: int | None = None) -> dict[str, float]:
    """Median, quartiles and number of values."""
    every = list(values)
    low, middle, high = statistics.quantiles(every, n=4)
    found = {"median": middle, "q1": low, "q3": high}
    return {**_rounded(found, digits), "repeats": len(every)}


def extremes(values: Iterable[float], digits: int | None = None) -> dict[str, float]:
    """Median, smallest and largest value."""
    every = list(values)
    found = {"median": statistics.median(every), "lowest": min(every), "highest": max(every)}
    return _rounded(found, digits)


def _rounded(found: dict[str, float], digits: int | None) -> dict[str, float]:
    return found if digits is None else {name: round(value, digits) for name, value in found.items()}
