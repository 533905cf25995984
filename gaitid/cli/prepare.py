"""``gaitid prepare``: convert a data set once, so that it loads fast ever after.

A stopped run goes on where it was when the same command is given again; a finished one is verified.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TextIO

from gaitid import registry
from gaitid.datasets.base import Fault, Problem, open_dataset, summary
from gaitid.datasets.prepared import prepare

_SHOWN = 10
_REFRESH_S = 0.1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid prepare``."""
    parser.add_argument("--dataset", required=True, choices=registry.names("datasets"))
    parser.add_argument("--root", type=Path, required=True, help="directory of the original")
    parser.add_argument("--out", type=Path, required=True, help="directory to make, or to go on with")
    parser.add_argument(
        "--partition", type=Path, help="JSON file of TRAIN_SET and TEST_SET (default: the published rule)"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all)")
    parser.add_argument("--all-problems", action="store_true", help="print every problem, not the first ten")


def run(options: argparse.Namespace) -> int:
    """Convert or go on, verify, and say what is there and what is wrong with it."""
    dataset = open_dataset(options.dataset, options.root, partition=options.partition)
    bar = Bar(sys.stderr)
    prepared = prepare(dataset, options.out, workers=max(options.workers, 1), progress=bar)
    for part in ("train", "test"):
        entries = prepared.entries(part)
        print(f"{part}: {len(entries)} sequences of {len({entry.subject for entry in entries})} subjects")
    print(f"protocols: {', '.join(prepared.protocols())}")
    _print_problems(prepared.problems(), options.all_problems)
    print(f"verified: {options.out}")
    return 0


def _print_problems(problems: list[Problem], every: bool) -> None:
    """Counts, then the first of them; what was there and could not be read comes first."""
    counts = ", ".join(f"{count} {name}" for name, count in summary(problems).items())
    print(f"problems: {counts or 'none'}")
    absent = (Fault.MISSING_SUBJECT, Fault.MISSING_SEQUENCE, Fault.MISSING_VIEW)
    ordered = sorted(problems, key=lambda problem: problem.fault in absent)
    for problem in ordered if every else ordered[:_SHOWN]:
        print(f"  {problem.fault.value}: {problem.where}: {problem.detail}")
    if not every and len(ordered) > _SHOWN:
        print(f"  and {len(ordered) - _SHOWN} more: --all-problems")


class Bar:
    """A line of progress with the time left; only drawn on a terminal, else one line at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start: tuple[float, int] | None = None
        self._drawn = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` sequences are converted."""
        now = time.monotonic()
        if self._start is None:
            self._start = (now, done)
        last = done == total
        if not last and (not self._stream.isatty() or now - self._drawn < _REFRESH_S):
            return
        self._drawn = now
        elapsed, fresh = now - self._start[0], done - self._start[1]
        rate = fresh / elapsed if elapsed > 0 else 0.0
        left = f"{_clock((total - done) / rate)} left" if rate and not last else f"in {_clock(elapsed)}"
        filled = 30 * done // max(total, 1)
        line = f"[{'#' * filled}{' ' * (30 - filled)}] {done}/{total} {rate:.0f} seq/s {left}"
        self._stream.write(f"\r{line:<78}" + ("\n" if last else ""))
        self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
