"""``gaitid keys rotate``: re-encrypt the data keys of all galleries with the newest key."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import inputs


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid keys rotate``."""
    inputs.add_place_flags(parser)


def run(options: argparse.Namespace) -> int:
    """Rotate the keys; calls go on meanwhile."""
    with closing(inputs.open_matcher(options)) as matcher:
        print(f"{matcher.rotate_keys()} subject(s) re-encrypted with the newest key")
    return 0
