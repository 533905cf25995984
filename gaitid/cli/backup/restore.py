"""``gaitid backup restore``: a data directory from a backup, or a check of the backup alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from gaitid.cli.backup.create import summary
from gaitid.gallery.care.backup import restore, verify


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid backup restore``."""
    parser.add_argument(
        "backup", type=Path, metavar="BACKUP", help="folder that 'gaitid backup create' wrote"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", metavar="DIR", type=Path, help="new or empty data directory")
    what.add_argument("--check", action="store_true", help="only verify the backup")


def run(options: argparse.Namespace) -> int:
    """Restore or verify the backup."""
    if options.check:
        print(f"intact: {summary(verify(options.backup))}")
        return 0
    made = restore(options.backup, options.data)
    print(f"{options.data} restored from {summary(made)}")
    print(
        f"It contains the first {made.changes} changes; later ones are lost. Subjects erased later are back:"
        " erase them again.\nA server whose mark file has seen more changes refuses to start on this"
        " directory until that file is deleted."
    )
    return 0
