import numpy as np
import pytest

from gaitid.edge.node import sightings
from gaitid.errors import ContractMismatch, Overloaded, ServerUnreachable
from gaitid.perception.pipeline import FrameView, Walk
from gaitid.records import Decision, Frame, OperatingPoint, Outcome, Reason
from tests.drawn import walk

DECISION = Decision(Outcome.NO_MATCH, (), None, OperatingPoint(0.5), 7)
GOOD = walk(seconds=4.0)


class Matcher:
    """Answers with a decision, or raises."""

    def __init__(self, answer=DECISION):
        self.answer, self.asked = answer, []

    def identify(self, gallery, probe):
        self.asked.append((gallery, probe))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def views(*sequences):
    frame = Frame(np.zeros((8, 8, 3), np.uint8), 0.0)
    for track, sequence in enumerate(sequences):
        times = np.arange(3.0) if sequence is None else sequence.times
        boxes = np.tile(np.array([0, 0, 5, 9], np.float32), (len(times), 1))
        reasons = ((Reason.CUT_OFF,),) * len(times)
        yield FrameView(frame, (), (Walk(track, times, boxes, reasons, sequence),))


def test_no_view_no_sighting():
    assert list(sightings([], Matcher(), "main")) == []


def test_a_good_walk_is_asked_about_once():
    matcher = Matcher()
    (seen,) = sightings(views(GOOD), matcher, "gate")
    assert seen.decision is DECISION
    assert [(gallery, probe is GOOD) for gallery, probe in matcher.asked] == [("gate", True)]


@pytest.mark.parametrize("sequence", [None, GOOD.part(slice(0, 5))], ids=["no good frame", "too short"])
def test_a_poor_walk_never_leaves_the_edge(sequence):
    matcher = Matcher()
    (seen,) = sightings(views(sequence), matcher, "main")
    assert not matcher.asked
    assert seen.decision is None
    assert seen.error is None
    assert (seen.quality is None) == (sequence is None)


@pytest.mark.parametrize("error", [ServerUnreachable("away"), Overloaded("full")], ids=lambda e: e.code)
def test_a_server_that_is_away_does_not_stop_the_camera(error):
    seen = list(sightings(views(GOOD, GOOD), Matcher(error), "main"))
    assert [sighting.error for sighting in seen] == [error, error]


def test_a_refusal_stops_the_edge():
    with pytest.raises(ContractMismatch):
        list(sightings(views(GOOD), Matcher(ContractMismatch("other")), "main"))
