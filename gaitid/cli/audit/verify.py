"""``gaitid audit verify``: verify the audit trail of galleries, or an export of it."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from gaitid.cli import inputs
from gaitid.cli.audit import trail
from gaitid.cli.files import write_text
from gaitid.errors import InputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid audit verify``."""
    parser.add_argument(
        "file", type=Path, nargs="?", metavar="FILE", help="an export; else pass --data or --server"
    )
    inputs.add_matcher_flags(parser, required=False)
    parser.add_argument("--public-key", metavar="HEX", help="public key that the site has published")
    parser.add_argument(
        "--anchor", type=Path, metavar="FILE", help="an earlier export or head that the trail must contain"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the signed head, a later anchor")


def run(options: argparse.Namespace) -> int:
    """Verify the chain of hashes, the signature and the anchor."""
    if (options.file is not None) == bool(options.data or options.server):
        raise InputError(
            "Both a file and galleries are given"
            if options.file
            else "Neither a file nor galleries are given",
            "one of them",
            "Pass a FILE, or --data or --server",
        )
    if options.file is not None:
        return _report(trail.ExportedTrail(options.file), options)
    with closing(inputs.open_matcher(options, timeout_s=trail.TIMEOUT_S)) as matcher:
        return _report(trail.LiveTrail(matcher), options)


def _report(found: trail.LiveTrail | trail.ExportedTrail, options: argparse.Namespace) -> int:
    trail.check_head(found.head, options.public_key)
    if options.anchor is not None:
        trail.check_anchor(found, options.anchor)
    if options.out is not None:
        write_text(options.out, trail.head_line(found.head))
    print(f"{found.head.number} entries, unbroken; signed by {found.head.public_key.hex()}")
    return 0
