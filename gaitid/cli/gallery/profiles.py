"""``gaitid gallery profiles``: camera profiles of a gallery, on or off."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import inputs


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid gallery profiles``."""
    inputs.add_matcher_flags(parser)
    parser.add_argument("state", choices=["on", "off"], help="whether profiles are learned and used")


def run(options: argparse.Namespace) -> int:
    """Switch, and print what holds now."""
    with closing(inputs.open_matcher(options)) as matcher:
        info = matcher.set_profiles(options.gallery, options.state == "on")
        known = len(matcher.cameras(options.gallery))
    state = "on" if info.profiles else "off"
    print(f"{options.gallery}: camera profiles are {state}; {known} are known")
    return 0
