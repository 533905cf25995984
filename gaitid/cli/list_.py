"""``gaitid list``: all galleries, and the subjects of one."""

from __future__ import annotations

import argparse
from contextlib import closing
from datetime import datetime, timezone

from gaitid.cli import inputs
from gaitid.records import GalleryInfo, advice, basis


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``gaitid list``."""
    inputs.add_matcher_flags(parser)
    parser.set_defaults(gallery=None)


def run(options: argparse.Namespace) -> int:
    """Print one line per gallery, and one per subject of ``--gallery``, which must exist if it is given."""
    chosen = options.gallery or "main"
    with closing(inputs.open_matcher(options)) as matcher:
        if options.gallery is not None:
            matcher.describe(options.gallery)
        print(
            f"{'gallery':20} {'encoder':10} {'subjects':>8} {'templates':>9} {'threshold':>9} basis of rates"
        )
        for info in matcher.list_galleries():
            print(_line(info))
            if info.name == chosen:
                print(f"  rates: {advice(info.calibration, profiles=info.profiles) or 'well founded.'}")
                for subject in matcher.list_subjects(info.name):
                    day = datetime.fromtimestamp(subject.enrolled_at, timezone.utc).date()
                    print(f"  {subject.id:18} {len(subject.templates)} template(s), since {day}")
    return 0


def _line(info: GalleryInfo) -> str:
    return (
        f"{info.name:20} {info.encoder:10} {info.subjects:8d} {info.templates:9d}"
        f" {info.operating_point.threshold:9.3f} {basis(info.calibration)}"
    )
