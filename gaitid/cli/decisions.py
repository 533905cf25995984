"""What verbs that decide share: the flags of an operating point, and how a decision is printed."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from gaitid.errors import InputError
from gaitid.records import (
    Calibration,
    Decision,
    GaitSequence,
    OperatingPoint,
    Outcome,
    Verdict,
    basis,
    stated,
)

if TYPE_CHECKING:
    from gaitid.matcher import Matcher

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


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag that prints a decision as JSON."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def report(decision: Decision, probe: GaitSequence, matcher: Matcher, options: argparse.Namespace) -> int:
    """Print a decision about a probe as the flags say; returns the exit status."""
    calibration = matcher.describe(options.gallery).calibration
    if options.json:
        print(json.dumps(_plain(decision, probe) | {"basis": basis(calibration)}, indent=1))
    else:
        show(decision, calibration)
        if decision.candidates:
            print("".join(f"  {words}\n" for words in _profile(decision, probe, matcher, options)), end="")
    return 0 if decision.outcome is Outcome.MATCH else NO_MATCH


def _plain(decision: Decision, probe: GaitSequence) -> dict[str, object]:
    quality, point = decision.quality, decision.operating_point
    return {
        "outcome": decision.outcome.value,
        "subject": decision.subject,
        "candidates": [asdict(candidate) for candidate in decision.candidates],
        "threshold": point.threshold,
        "quality": None if quality is None else quality.score,
        "reasons": [] if quality is None else [reason.value for reason in quality.reasons],
        "camera": probe.origin.camera,
        "profile_version": decision.profile_version,
        "revision": decision.revision,
        "audit_id": decision.audit_id,
    }


def _profile(
    decision: Decision, probe: GaitSequence, matcher: Matcher, options: argparse.Namespace
) -> list[str]:
    """Which camera profile was used, or that there was none; empty in a gallery without profiles."""
    camera = probe.origin.camera
    if decision.profile_version:
        return [f"camera {camera}: profile version {decision.profile_version}"]
    if not matcher.describe(options.gallery).profiles:
        return []
    if not camera:
        return ["The walk names no camera, so it has no camera profile."]
    return [f"Camera {camera} has no profile yet (see 'gaitid camera learn')."]


def show(decision: Decision, calibration: Calibration | None) -> None:
    """Print a decision with its candidates; `calibration` is the gallery's."""
    print(decision)
    for candidate in decision.candidates:
        rate, meaning = candidate.fpir_at_score, ""
        if rate is not None and calibration is not None:
            meaning = f"  impostors reach it at a rate of {stated(rate, calibration)}"
        print(f"  {candidate.score:7.4f}  {candidate.subject}{meaning}")
    if decision.outcome is Outcome.REVIEW:
        print(
            f"  needs a human: gaitid audit review {decision.audit_id} {Verdict.CONFIRMED.value} (or"
            f" {Verdict.REJECTED.value})"
        )
