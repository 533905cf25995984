"""``gaitid pki revoke``: put a certificate on the list of revoked ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from gaitid.server import pki


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid pki revoke``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of 'gaitid pki init'")
    parser.add_argument("name", help="name of the certificate")


def run(options: argparse.Namespace) -> int:
    """Write the new list; copy it to the server's tls_revoked."""
    path = pki.revoke(options.folder, options.name)
    print(f"{options.name} is revoked; copy {path} to the server's tls_revoked")
    return 0
