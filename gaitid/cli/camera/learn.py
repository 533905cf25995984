"""``gaitid camera learn``: the profile of a camera at once, from walks of anybody."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from gaitid.cli import inputs
from gaitid.cli.camera.table import add_camera_flag, described
from gaitid.records import DIRECTIONS, GaitSequence


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid camera learn``."""
    inputs.add_matcher_flags(parser)
    add_camera_flag(parser)
    inputs.add_sequence_arguments(parser, "+")
    parser.add_argument(
        "--direction",
        choices=[direction for direction in DIRECTIONS if direction],
        default="",
        help="direction of travel of all walks (default: as the boxes of each walk say)",
    )


def run(options: argparse.Namespace) -> int:
    """Learn from the walks; nobody needs to know of whom they are."""
    walks = _numbered(options.inputs, inputs.sequences(options))
    with closing(inputs.open_matcher(options)) as matcher:
        learned = matcher.learn_camera(options.gallery, options.camera, walks, direction=options.direction)
    print(described(learned))
    return 0


def _numbered(names: Sequence[str], walks: Sequence[GaitSequence]) -> list[GaitSequence]:
    """Renumber tracks, so that equal numbers from different recordings are different people.

    The files of one folder are one recording, as `gaitid extract` writes them; a video is one by itself.
    """
    recordings = [Path(name).parent if name.endswith(".npz") else Path(name) for name in names]
    numbers: dict[tuple[Path, int], int] = {}
    found = []
    for recording, walk in zip(recordings, walks, strict=True):
        track = walk.origin.track
        number = numbers.setdefault((recording, track), len(numbers) + 1) if track else 0
        found.append(replace(walk, origin=replace(walk.origin, track=number)))
    return found
