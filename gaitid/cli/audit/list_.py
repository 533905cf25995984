"""``gaitid audit list``: entries of the audit trail, oldest first."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import datetime, timezone

from gaitid.cli import inputs
from gaitid.cli.audit.trail import TIMEOUT_S, entries
from gaitid.records import AuditEntry


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid audit list``."""
    inputs.add_matcher_flags(parser)
    parser.set_defaults(gallery="")
    parser.add_argument("--after", type=int, default=0, metavar="NUMBER", help="only entries after this one")
    parser.add_argument("--subject", default="", help="only entries about this subject of --gallery")


def run(options: argparse.Namespace) -> int:
    """Print one line per entry; a gallery without entries must exist."""
    with closing(inputs.open_matcher(options, timeout_s=TIMEOUT_S)) as matcher:
        if options.gallery and not matcher.list_audit(count=1, gallery=options.gallery):
            matcher.describe(options.gallery)
        for entry in entries(matcher, options.after, options.gallery, options.subject):
            print(_line(entry))
    return 0


def _line(entry: AuditEntry) -> str:
    time = datetime.fromtimestamp(entry.at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    words = (entry.gallery, entry.subject[:8], entry.outcome, entry.detail, entry.reference)
    purpose = f" for {entry.purpose}" if entry.purpose else ""
    about = " ".join(filter(None, words))
    return f"{entry.number:8d} {time} {entry.actor:16} {entry.action:19} {about} ({entry.count}){purpose}"
