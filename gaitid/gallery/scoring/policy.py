"""From scores to a decision."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.calibration import ScoreLaw
from gaitid.records import Candidate, Decision, OperatingPoint, Outcome, Quality


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """How a gallery decides: its operating point, and its calibration if it has one."""

    rule: OperatingPoint
    law: ScoreLaw | None = None

    def resolve(self, rule: OperatingPoint | None, subjects: int, rows: float = 1.0) -> OperatingPoint:
        """The rule for one call, None = the gallery's, with its threshold for a gallery of `subjects`.

        Args:
            rule: Of one call.
            subjects: How many the gallery has.
            rows: Rows of the index that each of them has.

        Raises:
            NotCalibrated: It names a target rate, and the gallery is not calibrated.
        """
        rule = rule or self.rule
        if not rule.has_target:
            return rule
        if self.law is None:
            raise not_calibrated()
        return self.law.resolve(rule, subjects, rows)

    def known(self, subjects: int, rows: float = 1.0) -> OperatingPoint:
        """The gallery's rule as far as it can be told: without a calibration as it was set; see `resolve`."""
        return self.rule if self.law is None else self.law.resolve(self.rule, subjects, rows)

    def explained(
        self, candidates: tuple[Candidate, ...], subjects: int, rows: float = 1.0
    ) -> tuple[Candidate, ...]:
        """The candidates with what their scores mean in a gallery of `subjects`; see `resolve`."""
        if self.law is None:
            return candidates
        rates = self.law.fpir([candidate.score for candidate in candidates], subjects, rows)
        return tuple(
            replace(candidate, fpir_at_score=rate)
            for candidate, rate in zip(candidates, rates.tolist(), strict=True)
        )


def depth(rule: OperatingPoint, max_candidates: int) -> int:
    """Subjects that a search must find for the rule to be applied and the candidates to be shown."""
    return max(max_candidates, 2 if rule.margin else 1, rule.max_matches + 1 if rule.max_matches else 1)


def decide(
    candidates: tuple[Candidate, ...],
    quality: Quality | None,
    rule: OperatingPoint,
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
        rule: The operating point, resolved.
        revision: State of the gallery that was searched.
        empty: The gallery has no template.
        shown: Candidates to put into the decision; None = all.
    """
    outcome = _outcome(candidates, quality, rule, empty)
    return Decision(outcome, candidates[:shown], quality, rule, revision)


def described(rule: OperatingPoint) -> str:
    """An operating point in a few words, what is not used left out."""
    parts = [f"threshold {rule.threshold:.4f}"]
    for name in ("fmr", "fpir", "review_band", "margin", "max_matches"):
        if getattr(rule, name):
            parts.append(f"{name.replace('_', ' ')} {getattr(rule, name):g}")
    return ", ".join(parts)


def not_calibrated() -> NotCalibrated:
    """The error for a target rate in a gallery that is not calibrated."""
    return NotCalibrated(
        "a target rate, and no calibration", "a calibrated gallery", "calibrate it, or give a threshold"
    )


def _outcome(
    candidates: tuple[Candidate, ...], quality: Quality | None, rule: OperatingPoint, empty: bool
) -> Outcome:
    if empty:
        return Outcome.EMPTY_GALLERY
    if quality is not None and not quality.usable:
        return Outcome.INSUFFICIENT_QUALITY
    score = candidates[0].score
    if score >= rule.threshold:
        return Outcome.REVIEW if _is_ambiguous(candidates, rule) else Outcome.MATCH
    if rule.review_band and score >= rule.threshold - rule.review_band:
        return Outcome.REVIEW
    return Outcome.NO_MATCH


def _is_ambiguous(candidates: tuple[Candidate, ...], rule: OperatingPoint) -> bool:
    if rule.margin and len(candidates) > 1 and candidates[0].score - candidates[1].score < rule.margin:
        return True
    matches = sum(candidate.score >= rule.threshold for candidate in candidates)
    return bool(rule.max_matches) and matches > rule.max_matches
