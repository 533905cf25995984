"""``gaitid pki issue``: a certificate for a server or a node."""

from __future__ import annotations

import argparse
from pathlib import Path

from gaitid.errors import InputError
from gaitid.server import pki


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid pki issue``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of 'gaitid pki init'")
    parser.add_argument("name", help="name of the server or node, for example gate-3")
    parser.add_argument(
        "--host", action="append", default=[], help="host name or address of a server, repeatable"
    )
    parser.add_argument(
        "--days", type=float, default=pki.CERTIFICATE_DAYS, help=f"validity (default: {pki.CERTIFICATE_DAYS})"
    )


def run(options: argparse.Namespace) -> int:
    """Write NAME.pem and NAME.key."""
    if not 0 < options.days <= pki.CA_DAYS:
        raise InputError(f"Flag --days is {options.days:g}", f"above 0, at most {pki.CA_DAYS}", "Pass 397")
    path = pki.issue(options.folder, options.name, options.host, options.days)
    print(f"{path} and {path.with_suffix('.key').name}")
    return 0
