"""``gaitid camera forget``: drop the profiles of a camera, for example after it was moved."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import inputs
from gaitid.cli.camera.table import add_camera_flag


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid camera forget``."""
    inputs.add_matcher_flags(parser)
    add_camera_flag(parser)


def run(options: argparse.Namespace) -> int:
    """Forget the camera, and print what was forgotten."""
    with closing(inputs.open_matcher(options)) as matcher:
        gone = [one for one in matcher.cameras(options.gallery) if one.camera == options.camera]
        count = matcher.forget_camera(options.gallery, options.camera)
    if not count:
        print(f"{options.camera}: gallery {options.gallery} has no profile of it, nothing was forgotten")
        return 0
    walks = sum(profile.walks for profile in gone)
    print(f"{options.camera}: {count} profile(s) from {walks} walk(s) forgotten in gallery {options.gallery}")
    return 0
