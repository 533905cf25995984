"""``gaitid dataset prepare``: convert a data set once, so that it loads fast.

The same command resumes an interrupted run and verifies a finished one.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gaitid import registry
from gaitid.cli.progress import Bar
from gaitid.datasets.base import Fault, Problem, summary
from gaitid.datasets.conversion import prepare
from gaitid.datasets.opening import open_dataset

_SHOWN = 10
"""Problems that are printed without --all-problems."""
_ABSENT = (Fault.MISSING_SUBJECT, Fault.MISSING_SEQUENCE, Fault.MISSING_VIEW)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid dataset prepare``."""
    parser.add_argument("--dataset", required=True, choices=registry.names("datasets"))
    parser.add_argument("--root", type=Path, required=True, help="directory of the original data set")
    parser.add_argument("--out", type=Path, required=True, help="directory to create or to resume")
    parser.add_argument(
        "--partition",
        type=Path,
        help="JSON file with TRAIN_SET and TEST_SET (default: the published partition)",
    )
    parser.add_argument(
        "--gray",
        action="store_true",
        help="also keep the gray of resized edges, for networks trained with it; eight times as large",
    )
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)"
    )
    parser.add_argument(
        "--all-problems", action="store_true", help=f"print every problem, not the first {_SHOWN}"
    )


def run(options: argparse.Namespace) -> int:
    """Convert or resume, verify, and print what is there and what is wrong with it."""
    dataset = open_dataset(options.dataset, options.root, partition=options.partition, gray=options.gray)
    workers = max(options.workers, 1)
    prepared = prepare(dataset, options.out, workers=workers, progress=Bar(sys.stderr))
    for part in ("train", "test"):
        entries = prepared.entries(part)
        print(f"{part}: {len(entries)} sequences of {len({entry.subject for entry in entries})} subjects")
    print(f"protocols: {', '.join(prepared.protocols())}")
    _print_problems(prepared.problems(), every=options.all_problems)
    print(f"verified: {options.out}")
    return 0


def _print_problems(problems: list[Problem], *, every: bool) -> None:
    """Print counts, then details; unreadable files come before missing ones."""
    counts = ", ".join(f"{count} {name}" for name, count in summary(problems).items())
    print(f"problems: {counts or 'none'}")
    ordered = sorted(problems, key=lambda problem: problem.fault in _ABSENT)
    for problem in ordered if every else ordered[:_SHOWN]:
        print(f"  {problem.fault.value}: {problem.where}: {problem.detail}")
    if not every and len(ordered) > _SHOWN:
        print(f"  and {len(ordered) - _SHOWN} more: --all-problems")
