"""What verbs that decide share: the flags of an operating point, and how a decision is printed."""

from __future__ import annotations

import argparse

from gaitid.errors import InputError
from gaitid.records import Decision, OperatingPoint, Outcome, Verdict

NO_MATCH = 3
"""Exit status of identify and verify when the answer is not MATCH."""


def add_operating_point_flags(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Add the flags of an operating point."""
    bar = parser.add_mutually_exclusive_group(required=required)
    bar.add_argument("--threshold", type=float, help="lowest score of a match, a cosine")
    bar.add_argument("--fmr", type=float, help="target share of impostor comparisons that match")
    bar.add_argument("--fpir", type=float, help="target share of impostor searches that match")
    parser.add_argument(
        "--review-band", type=float, default=0.0, help="review scores up to this far below the threshold"
    )
    parser.add_argument(
        "--margin", type=float, default=0.0, help="review a match whose lead over the next is smaller"
    )
    parser.add_argument("--max-matches", type=int, default=0, help="review when more subjects match")


def operating_point(options: argparse.Namespace) -> OperatingPoint:
    """The operating point that the flags describe."""
    return OperatingPoint(
        1.0 if options.threshold is None else options.threshold,
        options.review_band,
        options.fmr,
        options.fpir,
        options.margin,
        options.max_matches,
    )


def override(options: argparse.Namespace) -> OperatingPoint | None:
    """The operating point of this one decision; None for the gallery's own."""
    point = operating_point(options)
    if any(value is not None for value in (options.threshold, options.fmr, options.fpir)):
        return point
    if point != OperatingPoint():
        raise InputError(
            "Flags --review-band, --margin and --max-matches stand alone",
            "one of --threshold, --fmr and --fpir beside them",
            "Add one, or set the gallery's own point with 'gaitid gallery operating-point'",
        )
    return None


def show(decision: Decision) -> int:
    """Print a decision with its candidates; returns the exit status."""
    print(decision)
    for candidate in decision.candidates:
        rate = candidate.fpir_at_score
        meaning = "" if rate is None else f"  impostors reach it in {100 * rate:.2g} % of searches"
        print(f"  {candidate.score:7.4f}  {candidate.subject}{meaning}")
    if decision.outcome is Outcome.REVIEW:
        print(
            f"  needs a human: gaitid audit review {decision.audit_id} {Verdict.CONFIRMED.value} (or"
            f" {Verdict.REJECTED.value})"
        )
    return 0 if decision.outcome is Outcome.MATCH else NO_MATCH
