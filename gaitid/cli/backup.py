"""``gaitid backup | restore``: a copy of all galleries, and galleries of a copy."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import gaitid
from gaitid.cli import inputs
from gaitid.errors import InputError
from gaitid.gallery.care.backup import restore, verify
from gaitid.matcher import Matcher
from gaitid.records import Backup
from gaitid.remote import RemoteMatcher

_TIMEOUT_S = 600.0
"""What a server may take for a backup; a million templates take seconds."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb that `parser` is for."""
    if parser.prog.split()[-1] == "backup":
        inputs.add_place_flags(parser)
        parser.add_argument(
            "--out", metavar="DIR", type=Path, help="with --data: folder in which the backup is made"
        )
        return
    parser.add_argument("backup", type=Path, metavar="BACKUP", help="folder that 'gaitid backup' made")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", metavar="DIR", type=Path, help="new or empty data directory")
    what.add_argument("--check", action="store_true", help="only tell whether the backup is whole")


def run(options: argparse.Namespace) -> int:
    """Run one of the verbs."""
    if options.verb == "backup":
        with closing(_open(options)) as matcher:
            print(_said(matcher.back_up()))
    elif options.check:
        print(f"whole: {_said(verify(options.backup))}")
    else:
        made = restore(options.backup, options.data)
        print(f"{options.data} restored from {_said(made)}")
        print(
            f"It has seen {made.changes} changes. What changed later is lost; who was erased later is back:"
            " erase again.\nA server whose mark file has seen more changes refuses to start on it until that"
            " file is deleted."
        )
    return 0


def _open(options: argparse.Namespace) -> Matcher:
    if options.server:
        if options.out:
            raise InputError("--out with --server", "the server's own backup_dir", "leave --out away")
        return RemoteMatcher(options.server, tls=inputs.tls_of(options), timeout_s=_TIMEOUT_S)
    if not options.out:
        raise InputError("--data without --out", "a folder for the backup", "add --out DIR")
    return gaitid.connect(
        f"local:{options.data}", encoder=options.encoder, key_file=options.key_file, backups=options.out
    )


def _said(backup: Backup) -> str:
    made = datetime.fromtimestamp(backup.created_at, timezone.utc).isoformat(" ", "seconds")
    return (
        f"{backup.name}: {backup.subjects} subjects, {backup.templates} templates, {backup.size_bytes} bytes,"
        f" of {made}, sha256 {backup.sha256[:16]}"
    )
