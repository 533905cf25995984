"""``gaitid delete``: delete a subject, or a whole gallery."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import inputs
from gaitid.errors import InputError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid delete``."""
    inputs.add_matcher_flags(parser)
    parser.add_argument("subject", nargs="?", help="subject id; to delete the whole gallery pass --all")
    parser.add_argument("--all", action="store_true", help="delete the gallery and all its subjects")


def run(options: argparse.Namespace) -> int:
    """Delete what was named."""
    if bool(options.subject) == options.all:
        raise InputError(
            "Both a subject and --all are given" if options.all else "Neither a subject nor --all is given",
            "one of them",
            "Name a subject, or pass --all to delete the whole gallery",
        )
    with closing(inputs.open_matcher(options)) as matcher:
        if options.all:
            matcher.delete_gallery(options.gallery)
            print(f"gallery {options.gallery} deleted")
        else:
            revision = matcher.delete_subject(options.gallery, options.subject)
            print(f"{options.subject} deleted from {options.gallery}; revision {revision}")
    return 0
