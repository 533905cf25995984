"""From scores to a decision."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.calibration import ScoreCalibration
from gaitid.records import Candidate, Decision, OperatingPoint, Outcome, Quality


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """How a gallery decides: its operating point, and its calibration if it has one."""

    operating_point: OperatingPoint
    calibration: ScoreCalibration | None = None

    def resolve(
        self, operating_point: OperatingPoint | None, subjects: int, rows: float = 1.0
    ) -> OperatingPoint:
        """The rule for one call, None = the gallery's, with its threshold for a gallery of `subjects`.

        Args:
            operating_point: Of one call.
            subjects: How many the gallery has.
            rows: Rows of the index that each of them has.

        Raises:
            NotCalibrated: It names a target rate, and the gallery is not calibrated.
        """
        operating_point = operating_point or self.operating_point
        if not operating_point.has_target:
            return operating_point
        if self.calibration is None:
            raise not_calibrated()
        return self.calibration.resolve(operating_point, subjects, rows)

    def known(self, subjects: int, rows: float = 1.0) -> OperatingPoint:
        """The gallery's rule as far as it can be told: without a calibration as it was set; see `resolve`."""
        if self.calibration is None:
            return self.operating_point
        return self.calibration.resolve(self.operating_point, subjects, rows)

    def explained(
        self, candidates: tuple[Candidate, ...], subjects: int, rows: float = 1.0
    ) -> tuple[Candidate, ...]:
        """The candidates with what their scores mean in a gallery of `subjects`; see `resolve`."""
        if self.calibration is None:
            return candidates
        rates = self.calibration.fpir([candidate.score for candidate in candidates], subjects, rows)
        return tuple(
            replace(candidate, fpir_at_score=rate)
            for candidate, rate in zip(candidates, rates.tolist(), strict=True)
        )


def depth(operating_point: OperatingPoint, max_candidates: int) -> int:
    """Subjects that a search must find for the rule to be applied and the candidates to be shown."""
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
) -> Decision:
    """Apply an operating point to the candidates of a probe.

    Three different things can leave a probe without a name, and they are told apart: the gallery is
    empty (whatever the probe), the probe is too poor to be searched, or it is a stranger.

    Args:
        candidates: Best first, at least `depth` if there are so many; empty when nothing was searched.
        quality: Quality of the probe, or None for a ready embedding.
        operating_point: The operating point, resolved.
        revision: State of the gallery that was searched.
        empty: The gallery has no template.
        shown: Candidates to put into the decision; None = all.
    """
    outcome = _outcome(candidates, quality, operating_point, empty)
    return Decision(outcome, candidates[:shown], quality, operating_point, revision)


def described(operating_point: OperatingPoint) -> str:
    """An operating point in a few words, what is not used left out."""
    parts = [f"threshold {operating_point.threshold:.4f}"]
    for name in ("fmr", "fpir", "review_band", "margin", "max_matches"):
        if getattr(operating_point, name):
            parts.append(f"{name.replace('_', ' ')} {getattr(operating_point, name):g}")
    return ", ".join(parts)


def not_calibrated() -> NotCalibrated:
    """The error for a target rate in a gallery that is not calibrated."""
    return NotCalibrated(
        "a target rate, and no calibration", "a calibrated gallery", "calibrate it, or give a threshold"
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
