"""``gaitid camera show``: the profiles of one camera, and whether they are in use."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict

from gaitid.cli import inputs
from gaitid.cli.camera.table import add_camera_flag, described
from gaitid.errors import InputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid camera show``."""
    inputs.add_matcher_flags(parser)
    add_camera_flag(parser)
    parser.add_argument("--json", action="store_true", help="a JSON list instead of sentences")


def run(options: argparse.Namespace) -> int:
    """Print the profile of each direction of travel."""
    with closing(inputs.open_matcher(options)) as matcher:
        is_on = matcher.describe(options.gallery).profiles
        every = matcher.cameras(options.gallery)
    found = [profile for profile in every if profile.camera == options.camera]
    if not found:
        names = ", ".join(dict.fromkeys(profile.camera for profile in every)) or "none yet"
        raise InputError(
            f"Gallery {options.gallery!r} has no profile of camera {options.camera!r}",
            f"a camera that it has seen ({names})",
            "Run 'gaitid camera learn', or identify walks of that camera",
        )
    if options.json:
        print(json.dumps([asdict(profile) for profile in found], indent=1))
        return 0
    print("\n".join(map(described, found)))
    if not is_on:
        print(f"not in use: camera profiles are switched off in gallery {options.gallery}")
    return 0
