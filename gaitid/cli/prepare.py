"""``gaitid prepare``: convert a data set once, so that it loads fast ever after."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TextIO

from gaitid import registry
from gaitid.datasets.base import Fault, open_dataset, summary
from gaitid.datasets.prepared import prepare

_SHOWN = 10
_REFRESH_S = 0.1


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb and its flags."""
    parser = subparsers.add_parser(
        "prepare",
        help="convert a data set into a fast, checked directory",
        description="Convert a data set once: bit-packed, memory-mapped, checksummed. A stopped run goes "
        "on where it was; a finished one is only verified.",
    )
    parser.add_argument("--dataset", required=True, choices=registry.names("datasets"))
    parser.add_argument("--root", required=True, help="directory of the original")
    parser.add_argument("--out", required=True, help="directory to make")
    parser.add_argument(
        "--partition", help="JSON file of TRAIN_SET and TEST_SET; default: the published rule"
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="reading processes (default: %(default)s)"
    )
    parser.add_argument("--all-problems", action="store_true", help="print every problem, not the first ten")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prepare, show progress on standard error and a summary on standard output; gives the exit status."""
    dataset = open_dataset(args.dataset, args.root, partition=args.partition)
    prepared = prepare(dataset, args.out, workers=max(args.workers, 1), progress=Bar(sys.stderr))
    problems = prepared.problems()
    for part in ("train", "test"):
        entries = prepared.entries(part)
        subjects = len({entry.subject for entry in entries})
        print(f"{part}: {len(entries)} sequences of {subjects} subjects")
    print(f"protocols: {', '.join(prepared.protocols())}")
    print(
        "problems: " + (", ".join(f"{count} {name}" for name, count in summary(problems).items()) or "none")
    )
    # What is merely absent is counted above; what was there and not read comes first.
    absent = (Fault.MISSING_SUBJECT, Fault.MISSING_SEQUENCE, Fault.MISSING_VIEW)
    problems.sort(key=lambda problem: problem.fault in absent)
    shown = problems if args.all_problems else problems[:_SHOWN]
    for problem in shown:
        print(f"  {problem.fault.value}: {problem.where}: {problem.detail}")
    if len(shown) < len(problems):
        print(f"  and {len(problems) - len(shown)} more: --all-problems")
    print(f"verified: {args.out}")
    return 0


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
