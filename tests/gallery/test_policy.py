"""Every outcome of a decision."""

from __future__ import annotations

import pytest

from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.policy import Policy, decide, depth
from gaitid.records import Candidate, OperatingPoint, Outcome, Quality, Reason

GOOD, POOR = Quality(80, 30), Quality(10, 3, reasons=(Reason.TOO_SHORT,))


@pytest.mark.parametrize(
    ("scores", "operating_point", "outcome"),
    [
        ((0.9,), OperatingPoint(0.5, margin=0.5, max_matches=1), Outcome.MATCH),
        ((0.9, 0.7), OperatingPoint(0.5, margin=0.25), Outcome.REVIEW),
        ((0.9, 0.7), OperatingPoint(0.5, margin=0.125), Outcome.MATCH),
        ((0.4, 0.4), OperatingPoint(0.5, margin=0.125), Outcome.NO_MATCH),
        ((0.9, 0.5), OperatingPoint(0.5, max_matches=1), Outcome.REVIEW),
        ((0.9, 0.49), OperatingPoint(0.5, max_matches=1), Outcome.MATCH),
        ((0.9, 0.8, 0.7), OperatingPoint(0.5, max_matches=2), Outcome.REVIEW),
        ((0.9, 0.8, 0.1), OperatingPoint(0.5, max_matches=2), Outcome.MATCH),
    ],
)
def test_an_ambiguous_match_needs_a_review(scores, operating_point, outcome):
    candidates = tuple(Candidate(f"s{n}", score, str(n)) for n, score in enumerate(scores))
    assert depth(operating_point, 1) <= max(len(scores), 3)
    decision = decide(candidates, None, operating_point, 1, shown=1)
    assert decision.outcome is outcome
    assert decision.candidates == candidates[:1]


@pytest.mark.parametrize(
    ("operating_point", "wanted", "found"),
    [
        (OperatingPoint(0.5), 1, 1),
        (OperatingPoint(0.5), 5, 5),
        (OperatingPoint(0.5, margin=0.1), 1, 2),
        (OperatingPoint(0.5, max_matches=3), 1, 4),
        (OperatingPoint(0.5, margin=0.1, max_matches=3), 9, 9),
    ],
)
def test_a_search_returns_as_many_subjects_as_the_operating_point_needs(operating_point, wanted, found):
    assert depth(operating_point, wanted) == found


def test_a_target_needs_a_calibration():
    policy = Policy(OperatingPoint(0.5))
    assert policy.resolve(None, 3) == OperatingPoint(0.5)
    assert policy.resolve(OperatingPoint(0.7), 3) == OperatingPoint(0.7)
    for operating_point in (OperatingPoint(fmr=0.1), OperatingPoint(fpir=0.1)):
        with pytest.raises(NotCalibrated):
            policy.resolve(operating_point, 3)
    candidates = (Candidate("ann", 0.5, "1"),)
    assert policy.explained(candidates, 3) == candidates


@pytest.mark.parametrize(
    ("score", "quality", "operating_point", "empty", "outcome"),
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
def test_outcome(score, quality, operating_point, empty, outcome):
    candidates = () if score is None else (Candidate("ann", score, "1"), Candidate("bob", -1.0, "2"))
    decision = decide(candidates, quality, operating_point, 7, empty=empty)
    assert decision.outcome is outcome
    assert (decision.candidates, decision.quality) == (candidates, quality)
    assert (decision.operating_point, decision.revision) == (operating_point, 7)
    assert decision.subject == ("ann" if outcome is Outcome.MATCH else None)
