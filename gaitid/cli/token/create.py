"""``gaitid token create``: a token with a role in galleries."""

from __future__ import annotations

import argparse
from pathlib import Path

from gaitid.errors import InputError
from gaitid.server.access import Role, check_galleries, check_role
from gaitid.server.tokens import TokenFile


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid token create``."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="token_file of the server; created if missing"
    )
    parser.add_argument("--name", required=True, help="who gets it; recorded in the audit trail")
    parser.add_argument("--role", required=True, help=", ".join(role.value for role in Role))
    parser.add_argument(
        "--gallery",
        action="append",
        metavar="NAME",
        help="gallery or pattern that it is for, repeatable (default: all galleries)",
    )
    parser.add_argument("--days", type=float, default=90.0, help="days until it expires (default: 90)")


def run(options: argparse.Namespace) -> int:
    """Append a token; its text is printed and stored nowhere."""
    check_role(options.role)
    galleries = options.gallery or ["*"]
    check_galleries(galleries)
    if not 0 < options.days <= 3650:
        raise InputError(f"Flag --days is {options.days:g}", "more than 0 and at most 3650", "Pass 90")
    print(TokenFile(options.file).create(options.name, options.role, galleries, options.days))
    return 0
