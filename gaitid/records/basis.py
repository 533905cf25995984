"""What an error rate rests on: the words that stand beside every rate that is printed."""

from __future__ import annotations

from gaitid.records.gallery import Calibration, CalibrationSource

NOTHING = "nothing measured"
"""Basis of a gallery without a calibration."""


def basis(calibration: Calibration | None) -> str:
    """Name what the rates of a gallery rest on, with the number of comparisons and people."""
    if calibration is None:
        return NOTHING
    return ", ".join((_whom(calibration), *_kind(calibration)))


def stated(rate: float, calibration: Calibration) -> str:
    """State an error rate with its basis; the only function that prints a rate of a gallery.

    Args:
        rate: The rate, 0..1; below `Calibration.floor` only that is stated.
        calibration: The calibration that it follows from.
    """
    at_least = calibration.floor
    words = f"below 1 in {max(1, calibration.comparisons):,}" if rate <= at_least else f"{100 * rate:.2g} %"
    return f"{words} ({basis(calibration)})"


def advice(calibration: Calibration | None, *, profiles: bool) -> str:
    """Say what would improve the basis of a gallery; empty if nothing is wanting.

    Args:
        calibration: What the gallery has now.
        profiles: Whether it learns camera profiles.
    """
    if calibration is None:
        return "Calibrate the gallery: gaitid gallery calibrate."
    source = calibration.source
    if source is CalibrationSource.CARD and profiles and not calibration.corrected:
        return "Let its cameras see three people or more (gaitid camera learn), then calibrate it."
    if source is CalibrationSource.CARD:
        return "Enrol three subjects or more, then calibrate: gaitid gallery calibrate."
    if source in (CalibrationSource.SMALL, CalibrationSource.SIMULTANEOUS):
        return "Pass 100 walks of people who are not enrolled: gaitid gallery calibrate WALKS."
    if source is CalibrationSource.GALLERY:
        return "Walks of people who are not enrolled are a better basis: gaitid gallery calibrate WALKS."
    return ""


def _whom(calibration: Calibration) -> str:
    count, people = f"{calibration.comparisons:,} comparisons", f"{calibration.subjects:,}"
    if calibration.source is CalibrationSource.CARD:
        who = "synthetic subjects" if calibration.synthetic else "subjects of the encoder's card"
        return f"unverified: {who}, {count}" + (f" of {people}" if calibration.subjects else "")
    if calibration.source is CalibrationSource.SIMULTANEOUS:
        return f"the card and {count} of simultaneous tracks"
    if calibration.source is CalibrationSource.SMALL:
        return f"the card and {count} of {people} own subjects"
    if calibration.source is CalibrationSource.IMPOSTORS:
        return f"{count} of {calibration.probes:,} impostor walks with {people} subjects"
    return f"{count} of {people} own subjects"


def _kind(calibration: Calibration) -> list[str]:
    """What was done to the scores."""
    kinds = {"normalised": calibration.normalised, "camera profiles": calibration.corrected}
    return [kind for kind, holds in kinds.items() if holds]
