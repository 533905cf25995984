"""``gaitid gallery normalise``: adaptive score normalisation (AS-norm), on or off."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import footage, inputs
from gaitid.matcher import FPIR


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid gallery normalise``."""
    inputs.add_matcher_flags(parser)
    inputs.add_sequence_arguments(parser, "*")
    parser.add_argument("--fpir", type=float, default=FPIR, help=f"FPIR of the check (default: {FPIR})")
    parser.add_argument(
        "--off", action="store_true", help="delete the cohort; scores are plain cosines again"
    )


def run(options: argparse.Namespace) -> int:
    """Normalise by the walks given, or stop normalising."""
    cohort = [sample.sequence for sample in footage.samples(options)]
    with closing(inputs.open_matcher(options)) as matcher:
        if options.off:
            matcher.stop_normalising(options.gallery)
            print(f"{options.gallery}: scores are plain; the cohort is deleted")
            return 0
        done = matcher.normalise(options.gallery, cohort, fpir=options.fpir)
    print(
        f"{options.gallery}: scores are normalised by {done.cohort} walks; at FPIR {100 * done.fpir:g} %"
        f" {100 * done.after:.1f} % of {done.probes} left-out templates are found, {100 * done.before:.1f} %"
        " without"
    )
    return 0
