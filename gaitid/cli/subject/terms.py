"""``gaitid subject terms``: on what terms a subject's templates are stored."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import datetime, timezone

from gaitid.cli import inputs
from gaitid.errors import InputError
from gaitid.records import Terms


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid subject terms``."""
    inputs.add_matcher_flags(parser)
    parser.add_argument("subject", help="subject id")
    parser.add_argument("--legal-basis", default="", help="legal basis of the processing, such as consent")
    parser.add_argument("--processing-purpose", default="", help="what the templates may be used for")
    parser.add_argument("--reference", default="", help="where the consent or order is filed")
    parser.add_argument("--expires", metavar="DATE", help="day of automatic deletion, YYYY-MM-DD (UTC)")
    parser.add_argument("--hold", action="store_true", help="legal hold: no deletion and no expiry")


def run(options: argparse.Namespace) -> int:
    """Record the terms; they replace the earlier ones."""
    terms = Terms(
        options.legal_basis,
        options.processing_purpose,
        options.reference,
        None if options.expires is None else _day(options.expires),
        options.hold,
    )
    with closing(inputs.open_matcher(options)) as matcher:
        revision = matcher.set_terms(options.gallery, options.subject, terms)
    print(f"{options.subject}: terms recorded; revision {revision}")
    return 0


def _day(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc).timestamp()
    except ValueError as error:
        raise InputError(f"Date {text!r} cannot be read", "YYYY-MM-DD", "Write it like 2027-12-31") from error
