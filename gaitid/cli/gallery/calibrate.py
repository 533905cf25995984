"""``gaitid gallery calibrate``: learn what the scores of a gallery mean."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import footage, inputs
from gaitid.records import advice, basis


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid gallery calibrate``."""
    inputs.add_matcher_flags(parser)
    inputs.add_sequence_arguments(parser, "*")


def run(options: argparse.Namespace) -> int:
    """Calibrate on the walks given, or without any on the gallery's own subjects."""
    impostors = [sample.sequence for sample in footage.samples(options)]
    with closing(inputs.open_matcher(options)) as matcher:
        found = matcher.calibrate(options.gallery, impostors)
        profiles = matcher.describe(options.gallery).profiles
    print(f"{options.gallery}: {basis(found)}; misfit of the tail {found.misfit:.3f}")
    better = advice(found, profiles=profiles)
    if better:
        print(f"To improve it: {better}")
    return 0
