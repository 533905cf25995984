"""``gaitid enrol``: add a subject, or samples to an enrolled one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing

from gaitid.cli import footage, inputs
from gaitid.errors import GalleryNotFound, SubjectNotFound
from gaitid.matcher import Matcher
from gaitid.records import Enrolment, EnrolmentCheck, Fusion, Suspicion


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid enrol``."""
    inputs.add_matcher_flags(parser)
    parser.add_argument("subject", help="subject id")
    inputs.add_sequence_arguments(parser, "+")
    inputs.add_camera_name(parser)
    parser.add_argument("--create-gallery", action="store_true", help="create the gallery if it is missing")
    parser.add_argument(
        "--fusion",
        choices=[fusion.value for fusion in Fusion],
        default=Fusion.MAX.value,
        help="of a gallery created here: how a subject's templates are fused to one score (default: max)",
    )
    parser.add_argument(
        "--no-profiles",
        action="store_true",
        help="of a gallery created here: neither learn nor use camera profiles",
    )
    parser.add_argument(
        "--check",
        choices=[check.value for check in EnrolmentCheck],
        default=EnrolmentCheck.WARN.value,
        help="when samples look like another subject, or like two people (default: warn)",
    )


def run(options: argparse.Namespace) -> int:
    """Enrol the samples."""
    samples = footage.samples(options)
    sequences = [sample.sequence for sample in samples]
    check = EnrolmentCheck(options.check)
    with closing(inputs.open_matcher(options)) as matcher:
        _require_gallery(matcher, options)
        try:
            done = matcher.add_samples(options.gallery, options.subject, sequences, check=check)
        except SubjectNotFound:
            done = matcher.enrol(options.gallery, options.subject, sequences, check=check)
    _report(done, options.gallery, samples)
    return 0


def _require_gallery(matcher: Matcher, options: argparse.Namespace) -> None:
    known = {info.name for info in matcher.list_galleries()}
    if options.gallery in known:
        return
    if not options.create_gallery:
        raise GalleryNotFound(
            f"Gallery {options.gallery!r} does not exist",
            f"one of {', '.join(sorted(known))}" if known else "an existing gallery",
            "Add --create-gallery to create it",
        )
    matcher.create_gallery(options.gallery, fusion=Fusion(options.fusion), profiles=not options.no_profiles)


def _report(done: Enrolment, gallery: str, samples: Sequence[footage.Sample]) -> None:
    print(f"{done.subject}: {len(done.templates)} template(s) enrolled in {gallery}")
    for index, reasons in done.refused:
        print(f"refused {samples[index].name}: {', '.join(reason.value for reason in reasons)}")
    for found in done.warnings:
        what = "like" if found.suspicion is Suspicion.DUPLICATE else "unlike the other samples of"
        print(f"warning {samples[found.sample].name}: {what} {found.subject} (score {found.score:.3f})")
