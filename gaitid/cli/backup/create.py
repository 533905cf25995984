"""``gaitid backup create``: back up all galleries while they are in use."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import gaitid
from gaitid.cli import inputs
from gaitid.errors import InputError
from gaitid.matcher import Matcher
from gaitid.records import Backup
from gaitid.remote import RemoteMatcher

_TIMEOUT_S = 600.0
"""Deadline of a server's backup; a million templates take seconds."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid backup create``."""
    inputs.add_place_flags(parser)
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="with --data: folder to write the backup into"
    )


def run(options: argparse.Namespace) -> int:
    """Create the backup and print its summary."""
    with closing(_open(options)) as matcher:
        print(summary(matcher.back_up()))
    return 0


def _open(options: argparse.Namespace) -> Matcher:
    if options.server:
        if options.out:
            raise InputError(
                "Flag --out is given with --server",
                "only --server, which writes into its own backup_dir",
                "Leave --out away",
            )
        return RemoteMatcher(options.server, tls=inputs.tls_of(options), timeout_s=_TIMEOUT_S)
    if not options.out:
        raise InputError("Flag --data is given without --out", "a folder for the backup", "Add --out DIR")
    return gaitid.connect(
        f"local:{options.data}", encoder=options.encoder, key_file=options.key_file, backups=options.out
    )


def summary(backup: Backup) -> str:
    """One line about a backup: name, counts, size, time (UTC) and the start of its sha256."""
    made = datetime.fromtimestamp(backup.created_at, timezone.utc).isoformat(" ", "seconds")
    return (
        f"{backup.name}: {backup.subjects} subjects, {backup.templates} templates, {backup.size_bytes} bytes,"
        f" of {made}, sha256 {backup.sha256[:16]}"
    )
