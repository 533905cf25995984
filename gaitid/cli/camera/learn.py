"""``gaitid camera learn``: the profile of a camera at once, from walks of anybody."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from zlib import crc32

from gaitid.cli import footage, inputs
from gaitid.cli.camera.table import add_camera_flag, described
from gaitid.records import DIRECTIONS, GaitSequence

_FIRST = 1 << 40
"""Trackers count from 1, and never get here."""


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
    walks = _numbered(footage.samples(options))
    with closing(inputs.open_matcher(options)) as matcher:
        learned = matcher.learn_camera(options.gallery, options.camera, walks, direction=options.direction)
    print(described(learned))
    return 0


def _numbered(samples: Sequence[footage.Sample]) -> list[GaitSequence]:
    """Renumber tracks, so that equal numbers from different recordings are different people.

    The files of one folder are one recording, as `gaitid extract` writes them; a video is one by itself.
    """
    return [_renumbered(sample.sequence, Path(sample.source)) for sample in samples]


def _renumbered(walk: GaitSequence, source: Path) -> GaitSequence:
    recording = source.parent if footage.is_walk(source) else source
    return replace(walk, origin=replace(walk.origin, track=_number(recording, walk.origin.track)))


def _number(recording: Path, track: int) -> int:
    """Number of a track of a recording, which no live track has; 0 stays 0, unknown."""
    return _FIRST + crc32(f"{recording.resolve()} {track}".encode()) if track else 0
