"""``gaitid model list``: the weights that are installed, with origin and licence."""

from __future__ import annotations

import argparse

from gaitid.cli.model import installed


def arguments(parser: argparse.ArgumentParser) -> None:
    """``gaitid model list`` has no flags."""


def run(options: argparse.Namespace) -> int:
    """Print a block of lines for each file."""
    for one in installed.weights():
        print(f"{one.name}  {one.what}")
        print(f"  licence  {one.licence}")
        print(f"  origin   {one.origin}")
        print(f"  file     {one.path} ({one.path.stat().st_size / 1e6:.1f} MB)")
        print(f"  sha256   {one.digest()}")
    return 0
