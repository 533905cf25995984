"""Every way a decision can go."""

from __future__ import annotations

import pytest

from gaitid.gallery.policy import decide
from gaitid.records import Candidate, OperatingPoint, Outcome, Quality, Reason

GOOD, POOR = Quality(80, 30), Quality(10, 3, reasons=(Reason.TOO_SHORT,))


@pytest.mark.parametrize(
    ("score", "quality", "rule", "empty", "outcome"),
    [
        (None, GOOD, OperatingPoint(0.5), True, Outcome.EMPTY_GALLERY),
        (None, POOR, OperatingPoint(0.5), True, Outcome.EMPTY_GALLERY),
        (None, POOR, OperatingPoint(-1.0), False, Outcome.INSUFFICIENT_QUALITY),
        (0.5, None, OperatingPoint(0.5), False, Outcome.MATCH),
        (0.5, GOOD, OperatingPoint(0.5), False, Outcome.MATCH),
        (0.499, GOOD, OperatingPoint(0.5), False, Outcome.NO_MATCH),
        (0.499, GOOD, OperatingPoint(0.5, 0.1), False, Outcome.REVIEW),
        (0.4, GOOD, OperatingPoint(0.5, 0.1), False, Outcome.REVIEW),
        (0.39, GOOD, OperatingPoint(0.5, 0.1), False, Outcome.NO_MATCH),
        (-1.0, GOOD, OperatingPoint(-1.0), False, Outcome.MATCH),
    ],
)
def test_outcome(score, quality, rule, empty, outcome):
    candidates = () if score is None else (Candidate("ann", score, "1"), Candidate("bob", -1.0, "2"))
    decision = decide(candidates, quality, rule, 7, empty=empty)
    assert decision.outcome is outcome
    assert (decision.candidates, decision.quality) == (candidates, quality)
    assert (decision.operating_point, decision.revision) == (rule, 7)
    assert decision.subject == ("ann" if outcome is Outcome.MATCH else None)
