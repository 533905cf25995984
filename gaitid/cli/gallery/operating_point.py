"""``gaitid gallery operating-point``: the threshold of a gallery, or the error rate it keeps."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import decisions, inputs
from gaitid.records import basis


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid gallery operating-point``."""
    inputs.add_matcher_flags(parser)
    decisions.add_operating_point_flags(parser, required=True)


def run(options: argparse.Namespace) -> int:
    """Set the operating point and print the threshold that follows from it."""
    with closing(inputs.open_matcher(options)) as matcher:
        info = matcher.set_operating_point(options.gallery, decisions.operating_point(options))
    point = info.operating_point
    rests = f", resting on {basis(info.calibration)}" if point.has_target else ""
    print(f"{options.gallery}: threshold {point.threshold:.4f}{rests}")
    return 0
