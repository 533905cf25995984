"""Decision policy: how an operating point turns scores into a decision."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.calibration import ScoreCalibration
from gaitid.records import Candidate, Decision, OperatingPoint, Outcome, Quality


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """How a gallery decides: its operating point, and its calibration if there is one."""

    operating_point: OperatingPoint
    calibration: ScoreCalibration | None = None

    def resolve(
        self, operating_point: OperatingPoint | None, subjects: int, rows: float = 1.0
    ) -> OperatingPoint:
        """Operating point of one call, with its threshold for a gallery of `subjects` subjects.

        Args:
            operating_point: Operating point of the call; None = the gallery's.
            subjects: Number of subjects in the gallery.
            rows: Index rows per subject.

        Raises:
            NotCalibrated: The operating point names a target rate, and the gallery is not calibrated.
        """
        operating_point = operating_point or self.operating_point
        if not operating_point.has_target:
            return operating_point
        if self.calibration is None:
            raise not_calibrated()
        return self.calibration.resolve(operating_point, subjects, rows)

    def known(self, subjects: int, rows: float = 1.0) -> OperatingPoint:
        """The gallery's operating point, resolved if there is a calibration, else as set; see `resolve`."""
        if self.calibration is None:
            return self.operating_point
        return self.calibration.resolve(self.operating_point, subjects, rows)

    def explained(
        self, candidates: tuple[Candidate, ...], subjects: int, rows: float = 1.0
    ) -> tuple[Candidate, ...]:
        """Add the FPIR at each candidate's score in a gallery of `subjects`; see `resolve`.

        No rate is lower than the comparisons of the calibration can support.
        """
        if self.calibration is None:
            return candidates
        rates = self.calibration.fpir([candidate.score for candidate in candidates], subjects, rows)
        rates = np.maximum(rates, self.calibration.info.floor)
        return tuple(
            replace(candidate, fpir_at_score=rate)
            for candidate, rate in zip(candidates, rates.tolist(), strict=True)
        )


def depth(operating_point: OperatingPoint, max_candidates: int) -> int:
    """Number of subjects a search must find to apply the operating point and return the candidates."""
    for_margin = 2 if operating_point.margin else 1
    for_matches = operating_point.max_matches + 1 if operating_point.max_matches else 1
    return max(max_candidates, for_margin, for_matches)


def decide(
    candidates: tuple[Candidate, ...],
    quality: Quality | None,
    operating_point: OperatingPoint,
    revision: int,
    *,
    empty: bool = False,
    shown: int | None = None,
    profile_version: int = 0,
) -> Decision:
    """Apply an operating point to the candidates of a probe.

    A probe can remain unidentified for three reasons, which have outcomes of their own: the gallery is empty
    (for any probe), the quality of the probe is too low to search, or no subject matches.

    Args:
        candidates: Best first, at least `depth` of them if available; empty when nothing was searched.
        quality: Quality of the probe; None for an embedding.
        operating_point: The operating point, resolved.
        revision: Revision of the gallery that was searched.
        empty: Whether the gallery has no template.
        shown: Number of candidates to return in the decision; None = all.
        profile_version: Version of the camera profile that corrected the probe; 0 = none did.
    """
    outcome = _outcome(candidates, quality, operating_point, empty)
    return Decision(
        outcome, candidates[:shown], quality, operating_point, revision, profile_version=profile_version
    )


def described(operating_point: OperatingPoint) -> str:
    """Summarise an operating point in a few words, without its unused fields."""
    parts = [f"threshold {operating_point.threshold:.4f}"]
    for name in ("fmr", "fpir", "review_band", "margin", "max_matches"):
        if getattr(operating_point, name):
            parts.append(f"{name.replace('_', ' ')} {getattr(operating_point, name):g}")
    return ", ".join(parts)


def not_calibrated() -> NotCalibrated:
    """Build the error for a target rate in a gallery that is not calibrated."""
    return NotCalibrated(
        "The operating point names a target rate, and the gallery is not calibrated",
        "a calibrated gallery",
        "Calibrate the gallery, or pass a threshold",
    )


def _outcome(
    candidates: tuple[Candidate, ...], quality: Quality | None, operating_point: OperatingPoint, empty: bool
) -> Outcome:
    if empty:
        return Outcome.EMPTY_GALLERY
    if quality is not None and not quality.usable:
        return Outcome.INSUFFICIENT_QUALITY
    score = candidates[0].score
    if score >= operating_point.threshold:
        return Outcome.REVIEW if _is_ambiguous(candidates, operating_point) else Outcome.MATCH
    if operating_point.review_band and score >= operating_point.threshold - operating_point.review_band:
        return Outcome.REVIEW
    return Outcome.NO_MATCH


def _is_ambiguous(candidates: tuple[Candidate, ...], operating_point: OperatingPoint) -> bool:
    if operating_point.margin and len(candidates) > 1:
        best, second = candidates[:2]
        if best.score - second.score < operating_point.margin:
            return True
    matches = sum(candidate.score >= operating_point.threshold for candidate in candidates)
    return bool(operating_point.max_matches) and matches > operating_point.max_matches
