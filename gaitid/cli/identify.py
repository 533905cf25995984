"""``gaitid identify``: search a gallery for a probe (1:N)."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import decisions, footage, inputs
from gaitid.matcher import MAX_CANDIDATES


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid identify``."""
    inputs.add_matcher_flags(parser)
    inputs.add_sequence_arguments(parser, 1)
    inputs.add_camera_name(parser)
    decisions.add_operating_point_flags(parser)
    decisions.add_json_flag(parser)
    parser.add_argument(
        "--max-candidates",
        type=int,
        default=MAX_CANDIDATES,
        help=f"most candidates to print (default: {MAX_CANDIDATES})",
    )


def run(options: argparse.Namespace) -> int:
    """Print the decision."""
    probe = footage.probe(options)
    with closing(inputs.open_matcher(options)) as matcher:
        decision = matcher.identify(
            options.gallery,
            probe,
            max_candidates=options.max_candidates,
            operating_point=decisions.override(options),
        )
        return decisions.report(decision, probe, matcher, options)
