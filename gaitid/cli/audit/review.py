"""``gaitid audit review``: record a human's verdict on a decision."""

from __future__ import annotations

import argparse
from contextlib import closing

from gaitid.cli import inputs
from gaitid.records import Verdict


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid audit review``."""
    inputs.add_matcher_flags(parser)
    parser.add_argument("audit_id", metavar="AUDIT-ID", help="id that 'gaitid identify' printed")
    parser.add_argument(
        "verdict", choices=[verdict.value for verdict in Verdict], help="whether it is the first candidate"
    )


def run(options: argparse.Namespace) -> int:
    """Record the verdict; a decision may have several."""
    with closing(inputs.open_matcher(options)) as matcher:
        number = matcher.review(options.gallery, options.audit_id, Verdict(options.verdict))
    print(f"{options.audit_id} {options.verdict}; entry {number} of the audit trail")
    return 0
