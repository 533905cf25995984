"""``gaitid enrol identify verify review delete list calibrate rule normalise rotate renew``: a matcher's."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone

from gaitid.cli import inputs
from gaitid.errors import GalleryNotFound, InputError, SubjectNotFound
from gaitid.matcher import FPIR, MAX_CANDIDATES, Matcher
from gaitid.records import (
    CalibrationSource,
    Decision,
    EnrolmentCheck,
    Fusion,
    GalleryInfo,
    OperatingPoint,
    Outcome,
    Suspicion,
    Verdict,
)

_NO_MATCH = 3
"""Exit status of identify and verify when the answer is not MATCH."""
_INPUTS: dict[str, int | str] = {"enrol": "+", "identify": 1, "verify": 1, "calibrate": "*", "normalise": "*"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb that `parser` is for."""
    verb = parser.prog.split()[-1]
    inputs.add_matcher_flags(parser)
    if verb in ("enrol", "verify"):
        parser.add_argument("subject", help="subject id")
    if verb == "review":
        parser.add_argument(
            "audit_id", metavar="AUDIT-ID", help="of the decision, as 'gaitid identify' says it"
        )
        parser.add_argument(
            "verdict", choices=[verdict.value for verdict in Verdict], help="what you say of it"
        )
    if verb == "delete":
        parser.add_argument("subject", nargs="?", help="subject id; without it the whole gallery, with --all")
        parser.add_argument("--all", action="store_true", help="delete the gallery and all its subjects")
    if verb in _INPUTS:
        inputs.add_sequence_arguments(parser, _INPUTS[verb])
    if verb == "enrol":
        _add_enrolment_flags(parser)
    if verb in ("identify", "verify", "rule"):
        _add_rule_flags(parser, required=verb == "rule")
    if verb == "normalise":
        parser.add_argument("--fpir", type=float, default=FPIR, help=f"of the check (default: {FPIR})")
        parser.add_argument("--off", action="store_true", help="erase the cohort; scores are plain again")
    if verb == "identify":
        parser.add_argument(
            "--candidates",
            type=int,
            default=MAX_CANDIDATES,
            help=f"subjects to print (default: {MAX_CANDIDATES})",
        )


def _add_enrolment_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--create-gallery", action="store_true", help="make the gallery when missing")
    parser.add_argument(
        "--fusion",
        choices=[fusion.value for fusion in Fusion],
        default=Fusion.MAX.value,
        help="of a gallery made here: how templates of a subject make one score (default: max)",
    )
    parser.add_argument(
        "--check",
        choices=[check.value for check in EnrolmentCheck],
        default=EnrolmentCheck.WARN.value,
        help="when samples look like another subject's, or like two people's (default: warn)",
    )


def _add_rule_flags(parser: argparse.ArgumentParser, *, required: bool) -> None:
    bar = parser.add_mutually_exclusive_group(required=required)
    bar.add_argument("--threshold", type=float, help="lowest score of a match")
    bar.add_argument("--fmr", type=float, help="share of comparisons of strangers that may match")
    bar.add_argument("--fpir", type=float, help="share of searches of strangers that may match")
    parser.add_argument("--review-band", type=float, default=0.0, help="scores so far below are for review")
    parser.add_argument("--margin", type=float, default=0.0, help="a smaller lead of a match is for review")
    parser.add_argument("--max-matches", type=int, default=0, help="more matches than this are for review")


def run(options: argparse.Namespace) -> int:
    """Run one of the verbs."""
    matcher = inputs.open_matcher(options)
    try:
        return _VERBS[options.verb](matcher, options)
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
        matcher.create_gallery(options.gallery, fusion=Fusion(options.fusion))
    check = EnrolmentCheck(options.check)
    try:
        done = matcher.add_samples(options.gallery, options.subject, samples, check=check)
    except SubjectNotFound:
        done = matcher.enrol(options.gallery, options.subject, samples, check=check)
    print(f"{done.subject}: {len(done.templates)} template(s) enrolled in {options.gallery}")
    for index, reasons in done.refused:
        print(f"refused {options.inputs[index]}: {', '.join(reason.value for reason in reasons)}")
    for found in done.warnings:
        what = "like" if found.suspicion is Suspicion.DUPLICATE else "unlike the other samples of"
        print(f"warning {options.inputs[found.sample]}: {what} {found.subject} (score {found.score:.3f})")
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


def _review(matcher: Matcher, options: argparse.Namespace) -> int:
    number = matcher.review(options.gallery, options.audit_id, Verdict(options.verdict))
    print(f"{options.audit_id} {options.verdict}; entry {number} of the audit trail")
    return 0


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
    print(f"{'gallery':20} {'encoder':10} {'subjects':>8} {'templates':>9} {'threshold':>9} calibrated on")
    for info in matcher.list_galleries():
        point = info.operating_point.threshold
        print(
            f"{info.name:20} {info.encoder:10} {info.subjects:8d} {info.templates:9d} {point:9.3f}"
            f" {_source(info)}"
        )
        if info.name == options.gallery:
            for subject in matcher.list_subjects(info.name):
                day = datetime.fromtimestamp(subject.enrolled_at, timezone.utc).date()
                print(f"  {subject.id:18} {len(subject.templates)} template(s), since {day}")
    return 0


def _source(info: GalleryInfo) -> str:
    if info.calibration is None:
        return "nothing"
    words = {
        CalibrationSource.GALLERY: "own subjects",
        CalibrationSource.COHORT: "strangers",
        CalibrationSource.CARD: "card (provisional)",
    }
    return words[info.calibration.source] + (", normalised" if info.calibration.normalised else "")


def _calibrate(matcher: Matcher, options: argparse.Namespace) -> int:
    learnt = matcher.calibrate(options.gallery, inputs.sequences(options))
    print(
        f"{options.gallery}: {learnt.comparisons} comparisons, {learnt.probes} probes, {learnt.subjects}"
        f" subjects, from the {learnt.source.value}; misfit of the tail {learnt.misfit:.3f}"
    )
    return 0


def _normalise(matcher: Matcher, options: argparse.Namespace) -> int:
    if options.off:
        matcher.stop_normalising(options.gallery)
        print(f"{options.gallery}: scores are plain; the cohort is erased")
        return 0
    done = matcher.normalise(options.gallery, inputs.sequences(options), fpir=options.fpir)
    print(
        f"{options.gallery}: scores are normalised by {done.cohort} walks; at FPIR {100 * done.fpir:g} %"
        f" {100 * done.after:.1f} % of {done.probes} held-out templates are found, {100 * done.before:.1f} %"
        " without"
    )
    return 0


def _renew(matcher: Matcher, options: argparse.Namespace) -> int:
    count = matcher.renew_templates(options.gallery)
    print(f"{options.gallery}: {count} template(s) brought under a new projection")
    return 0


def _rotate(matcher: Matcher, _: argparse.Namespace) -> int:
    print(f"{matcher.rotate_keys()} subject(s) brought under the newest key")
    return 0


def _rule(matcher: Matcher, options: argparse.Namespace) -> int:
    point = matcher.set_operating_point(options.gallery, _rule_of(options)).operating_point
    print(f"{options.gallery}: threshold {point.threshold:.4f}")
    return 0


def _point(options: argparse.Namespace) -> OperatingPoint | None:
    rule = _rule_of(options)
    if any(value is not None for value in (options.threshold, options.fmr, options.fpir)):
        return rule
    if rule != OperatingPoint():
        raise InputError(
            "--review-band, --margin or --max-matches alone",
            "with --threshold, --fmr or --fpir",
            "add one, or set the gallery's own with 'gaitid rule'",
        )
    return None


def _rule_of(options: argparse.Namespace) -> OperatingPoint:
    return OperatingPoint(
        1.0 if options.threshold is None else options.threshold,
        options.review_band,
        options.fmr,
        options.fpir,
        options.margin,
        options.max_matches,
    )


def _print_decision(decision: Decision) -> int:
    print(decision)
    for candidate in decision.candidates:
        rate = candidate.fpir_at_score
        meaning = "" if rate is None else f"  strangers reach it in {100 * rate:.2g} % of searches"
        print(f"  {candidate.score:7.4f}  {candidate.subject}{meaning}")
    if decision.outcome is Outcome.REVIEW:
        print(
            f"  for a human: gaitid review {decision.audit_id} {Verdict.CONFIRMED.value} (or"
            f" {Verdict.REJECTED.value})"
        )
    return 0 if decision.outcome is Outcome.MATCH else _NO_MATCH


_VERBS = {
    "enrol": _enrol,
    "identify": _identify,
    "verify": _verify,
    "review": _review,
    "delete": _delete,
    "list": _list,
    "calibrate": _calibrate,
    "rule": _rule,
    "normalise": _normalise,
    "rotate": _rotate,
    "renew": _renew,
}
