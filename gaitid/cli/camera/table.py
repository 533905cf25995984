"""How camera profiles are printed, and the flag that names a camera."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone

from gaitid.records import CameraProfile

HEADER = f"{'camera':20} {'direction':9} {'version':>7} {'walks':>7} {'people':>7} {'shift':>6} updated"
"""Header of a table of `line`."""


def add_camera_flag(parser: argparse.ArgumentParser) -> None:
    """Add the flag that names the camera."""
    parser.add_argument(
        "--camera", required=True, metavar="NAME", help="name of the camera, as in 'gaitid extract --camera'"
    )


def line(profile: CameraProfile) -> str:
    """One line of the table of profiles."""
    return (
        f"{profile.camera:20} {profile.direction or '-':9} {profile.version:7d} {profile.walks:7d}"
        f" {profile.people:7.1f} {profile.shift:6.2f} {_updated(profile)}"
    )


def described(profile: CameraProfile) -> str:
    """A profile in a sentence."""
    direction = f", direction {profile.direction}" if profile.direction else ""
    seen = f"{profile.walks} walk(s) of about {profile.people:.1f} people, updated {_updated(profile)}"
    state = (
        f"profile version {profile.version}, shift {profile.shift:.2f}"
        if profile.version
        else "no profile in use yet, more people are needed"
    )
    return f"{profile.camera}{direction}: {state}; {seen}"


def _updated(profile: CameraProfile) -> str:
    return datetime.fromtimestamp(profile.updated, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
