"""``gaitid model verify``: check that no weight file was changed, and that encoders still work."""

from __future__ import annotations

import argparse
import sys

from gaitid.cli.model import installed
from gaitid.errors import GaitIdError


def arguments(parser: argparse.ArgumentParser) -> None:
    """``gaitid model verify`` has no flags."""


def run(options: argparse.Namespace) -> int:
    """Check every file.

    Returns:
        1 if one was changed, else 0.
    """
    failed = 0
    for one in installed.weights():
        try:
            one.check()
            print(f"{one.name}: as released")
        except GaitIdError as error:
            failed += 1
            print(f"{one.name}: {error}", file=sys.stderr)
    return int(failed > 0)
