"""``gaitid audit export``: the audit trail and its signed head as JSON lines."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from gaitid.cli import inputs
from gaitid.cli.audit.trail import TIMEOUT_S, entries, entry_line, head_line
from gaitid.cli.files import unwritable
from gaitid.matcher import Matcher


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid audit export``."""
    inputs.add_place_flags(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="file to write; must not exist"
    )


def run(options: argparse.Namespace) -> int:
    """Write the entries up to the head that is verified first."""
    with closing(inputs.open_matcher(options, timeout_s=TIMEOUT_S)) as matcher:
        count = _write(matcher, options.out)
    print(f"{count} entries in {options.out}")
    return 0


def _write(matcher: Matcher, path: Path) -> int:
    head = matcher.verify_audit()
    try:
        with path.open("x") as file:
            for entry in entries(matcher, 0):
                if entry.number <= head.number:
                    file.write(entry_line(entry))
            file.write(head_line(head))
    except OSError as error:
        raise unwritable(path, error) from error
    return head.number
