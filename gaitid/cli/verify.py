"""``gaitid verify``: compare a probe with the claimed subject (1:1)."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import decisions, footage, inputs


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid verify``."""
    inputs.add_matcher_flags(parser)
    parser.add_argument("subject", help="subject id")
    inputs.add_sequence_arguments(parser, 1)
    inputs.add_camera_name(parser)
    decisions.add_operating_point_flags(parser)
    decisions.add_json_flag(parser)


def run(options: argparse.Namespace) -> int:
    """Print the decision."""
    probe = footage.probe(options)
    with closing(inputs.open_matcher(options)) as matcher:
        point = decisions.override(options)
        decision = matcher.verify(options.gallery, options.subject, probe, operating_point=point)
        return decisions.report(decision, probe, matcher, options)
