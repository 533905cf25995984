"""``gaitid demo``: the whole chain, server included, with a report to look at."""

from __future__ import annotations

import argparse
from pathlib import Path

from gaitid.cli import inputs
from gaitid.cli.files import make_folder


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid demo``."""
    parser.add_argument(
        "--video", help="clip from a static camera with people walking (default: a generated scene)"
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="directory (default: out/demo)")
    parser.add_argument("--encoder", default="strider", help="encoder (default: strider)")
    inputs.add_perception_flags(parser)
    group = parser.add_argument_group("generated scene")
    group.add_argument("--subjects", type=int, default=8, help="subjects to enrol (default: 8)")
    group.add_argument(
        "--impostors", type=int, default=4, help="people in the scene who are not enrolled (default: 4)"
    )
    group.add_argument("--seed", type=int, default=0, help="another seed, other people (default: 0)")


def run(options: argparse.Namespace) -> int:
    """Run the demo of a video, or of a generated scene."""
    perception = inputs.perception_of(options)
    make_folder(options.out)
    if options.video is not None:
        from gaitid.demo import clip

        clip.run(options.video, options.out, encoder=options.encoder, perception=perception, fps=options.fps)
    else:
        from gaitid.demo import generated

        generated.run(
            options.out,
            options.subjects,
            options.impostors,
            options.seed,
            encoder=options.encoder,
            perception=perception,
        )
    return 0
