"""``gaitid pki init``: a certificate authority in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from gaitid.server import pki


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid pki init``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where its files go; keep it off the server")


def run(options: argparse.Namespace) -> int:
    """Create the authority and its empty list of revoked certificates."""
    pki.create_authority(options.folder)
    print(
        f"authority in {options.folder}; keep {options.folder / 'ca.key'} secret, it can make any certificate"
    )
    return 0
