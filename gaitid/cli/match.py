"""``gaitid enrol | identify | verify | delete | list``: the matcher on the command line."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone

from gaitid.cli import inputs
from gaitid.errors import GalleryNotFound, SubjectNotFound
from gaitid.matcher import Matcher
from gaitid.records import Decision, OperatingPoint, Outcome

_NO_MATCH = 3
"""Exit status of identify and verify when the answer is not MATCH."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb that `parser` is for."""
    verb = parser.prog.split()[-1]
    inputs.add_matcher_flags(parser)
    if verb in ("enrol", "verify"):
        parser.add_argument("subject", help="subject id")
    if verb == "delete":
        parser.add_argument("subject", nargs="?", help="subject id; without it the whole gallery, with --all")
        parser.add_argument("--all", action="store_true", help="delete the gallery and all its subjects")
    if verb in ("enrol", "identify", "verify"):
        inputs.add_sequence_arguments(parser, many=verb == "enrol")
    if verb == "enrol":
        parser.add_argument("--create-gallery", action="store_true", help="make the gallery when missing")
    if verb in ("identify", "verify"):
        parser.add_argument(
            "--threshold", type=float, help="lowest score of a match, instead of the gallery's"
        )
    if verb == "identify":
        parser.add_argument("--candidates", type=int, default=5, help="subjects to print (default: 5)")


def run(options: argparse.Namespace) -> int:
    """Run one of the verbs."""
    verb = {"enrol": _enrol, "identify": _identify, "verify": _verify, "delete": _delete, "list": _list}
    matcher = inputs.open_matcher(options)
    try:
        return verb[options.verb](matcher, options)
    finally:
        matcher.close()


def _enrol(matcher: Matcher, options: argparse.Namespace) -> int:
    samples = inputs.sequences(options)
    known = {info.name for info in matcher.list_galleries()}
    if options.gallery not in known:
        if not options.create_gallery:
            raise GalleryNotFound(
                f"gallery {options.gallery!r} does not exist",
                f"known are {', '.join(sorted(known)) or 'none'}",
                "add --create-gallery",
            )
        matcher.create_gallery(options.gallery)
    try:
        done = matcher.add_samples(options.gallery, options.subject, samples)
    except SubjectNotFound:
        done = matcher.enrol(options.gallery, options.subject, samples)
    print(f"{done.subject}: {len(done.templates)} template(s) enrolled in {options.gallery}")
    for index, reasons in done.refused:
        print(f"refused {options.inputs[index]}: {', '.join(reason.value for reason in reasons)}")
    return 0


def _identify(matcher: Matcher, options: argparse.Namespace) -> int:
    (probe,) = inputs.sequences(options)
    decision = matcher.identify(
        options.gallery, probe, max_candidates=options.candidates, operating_point=_point(options)
    )
    return _print_decision(decision)


def _verify(matcher: Matcher, options: argparse.Namespace) -> int:
    (probe,) = inputs.sequences(options)
    decision = matcher.verify(options.gallery, options.subject, probe, operating_point=_point(options))
    return _print_decision(decision)


def _delete(matcher: Matcher, options: argparse.Namespace) -> int:
    if options.subject:
        revision = matcher.delete_subject(options.gallery, options.subject)
        print(f"{options.subject} deleted from {options.gallery}; revision {revision}")
        return 0
    if not options.all:
        print("name a subject, or say --all to delete the whole gallery")
        return 2
    matcher.delete_gallery(options.gallery)
    print(f"gallery {options.gallery} deleted")
    return 0


def _list(matcher: Matcher, options: argparse.Namespace) -> int:
    print(f"{'gallery':20} {'encoder':10} {'subjects':>8} {'templates':>9} {'threshold':>9}")
    for info in matcher.list_galleries():
        point = info.operating_point.threshold
        print(f"{info.name:20} {info.encoder:10} {info.subjects:8d} {info.templates:9d} {point:9.3f}")
        if info.name == options.gallery:
            for subject in matcher.list_subjects(info.name):
                day = datetime.fromtimestamp(subject.enrolled_at, timezone.utc).date()
                print(f"  {subject.id:18} {len(subject.templates)} template(s), since {day}")
    return 0


def _point(options: argparse.Namespace) -> OperatingPoint | None:
    return None if options.threshold is None else OperatingPoint(options.threshold)


def _print_decision(decision: Decision) -> int:
    print(decision)
    for candidate in decision.candidates:
        print(f"  {candidate.score:7.4f}  {candidate.subject}")
    return 0 if decision.outcome is Outcome.MATCH else _NO_MATCH
