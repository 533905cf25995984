"""``gaitid camera list``: the camera profiles of a gallery."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import asdict

from gaitid.cli import inputs
from gaitid.cli.camera.table import HEADER, line


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid camera list``."""
    inputs.add_matcher_flags(parser)
    parser.add_argument("--json", action="store_true", help="a JSON list instead of a table")


def run(options: argparse.Namespace) -> int:
    """Print one line per camera and direction."""
    with closing(inputs.open_matcher(options)) as matcher:
        profiles = matcher.cameras(options.gallery)
    if options.json:
        print(json.dumps([asdict(profile) for profile in profiles], indent=1))
        return 0
    print(HEADER)
    for profile in profiles:
        print(line(profile))
    return 0
