"""From scores to a decision."""

from __future__ import annotations

from gaitid.records import Candidate, Decision, OperatingPoint, Outcome, Quality


def decide(
    candidates: tuple[Candidate, ...],
    quality: Quality | None,
    rule: OperatingPoint,
    revision: int,
    *,
    empty: bool = False,
) -> Decision:
    """Apply an operating point to the candidates of a probe.

    Three different things can leave a probe without a name, and they are told apart: the gallery is
    empty (whatever the probe), the probe is too poor to be searched, or it is a stranger.

    Args:
        candidates: Best first; empty when nothing was searched.
        quality: Quality of the probe, or None for a ready embedding.
        rule: The operating point.
        revision: State of the gallery that was searched.
        empty: The gallery has no template.
    """
    return Decision(_outcome(candidates, quality, rule, empty), candidates, quality, rule, revision)


def _outcome(
    candidates: tuple[Candidate, ...], quality: Quality | None, rule: OperatingPoint, empty: bool
) -> Outcome:
    if empty:
        return Outcome.EMPTY_GALLERY
    if quality is not None and not quality.usable:
        return Outcome.INSUFFICIENT_QUALITY
    score = candidates[0].score
    if score >= rule.threshold:
        return Outcome.MATCH
    if rule.review_band and score >= rule.threshold - rule.review_band:
        return Outcome.REVIEW
    return Outcome.NO_MATCH
