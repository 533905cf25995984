"""Two tracks that one camera sees at the same time are two people: impostors without a label."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gaitid.encoders.weights import Impostors
from gaitid.gallery.scoring.simultaneous import FEWEST, MOST, Encounters, Passage
from gaitid.local import LocalMatcher
from gaitid.records import CalibrationSource, Embedding, EnrolmentCheck, GaitSequence, OperatingPoint, Origin
from tests.impostors import Ready, people

NOW = 1.8e9
FIRST = Passage("hall", 1, NOW, NOW + 4)


def met(*passages: Passage, arrived: tuple[float, ...] = ()) -> int:
    """How many scores a row of walks gives."""
    encounters, vectors = Encounters(), people(len(passages), 1, seed=1)
    for at, (passage, vector) in enumerate(zip(passages, vectors, strict=True)):
        encounters.add(passage, vector, arrived[at] if arrived else NOW, corrected=False)
    return len(encounters._scores)


@pytest.mark.parametrize(
    ("changed", "scores"),
    [
        ({"track": 2}, 1),
        ({"track": 1}, 0),  # the same person
        ({"track": 2, "camera": "gate"}, 0),
        ({"track": 2, "camera": ""}, 0),
        ({"track": 0}, 0),  # unknown
        ({"track": 2, "start": NOW + 3.5, "end": NOW + 9}, 0),  # too short together
        ({"track": 2, "start": NOW + 2, "end": NOW + 9}, 1),
        ({"track": 2, "start": 0.0, "end": 4.0}, 0),  # of a file
    ],
)
def test_who_is_seen_together(changed, scores):
    assert met(FIRST, FIRST._replace(**changed)) == scores


def test_walks_of_files_are_never_compared():
    """Each file begins with 0, so that the same person may seem to be in two places."""
    assert met(Passage("hall", 1, 0.0, 4.0), Passage("hall", 2, 0.0, 4.0)) == 0


def test_an_embedding_is_dropped_after_a_minute():
    other = FIRST._replace(track=2)
    assert met(FIRST, other, arrived=(NOW, NOW + 59)) == 1
    assert met(FIRST, other, arrived=(NOW, NOW + 61)) == 0


def test_an_erasure_drops_the_embeddings():
    encounters, vectors = Encounters(), people(2, 1, seed=1)
    encounters.add(FIRST, vectors[0], NOW, corrected=False)
    encounters.forget()
    encounters.add(FIRST._replace(track=2), vectors[1], NOW, corrected=False)
    assert not encounters._scores


def test_two_people_who_meet_all_day_count_twice():
    pairs = [
        FIRST._replace(track=10 * n + k, start=NOW + 60 * n, end=NOW + 60 * n + 4, name=name)
        for n in range(5)
        for k, name in enumerate(("anna", "bert"), 1)
    ]
    assert met(*pairs) == 2
    strangers = [one._replace(name="") for one in pairs]
    assert met(*strangers) == 5


def test_the_number_of_scores_and_embeddings_is_bounded():
    encounters = Encounters(np.zeros(MOST).tolist())
    for n, vector in enumerate(people(40, 1, seed=2), 1):
        encounters.add(FIRST._replace(track=n), vector, NOW, corrected=False)
    assert len(encounters._scores) == MOST
    assert len(encounters._recent) == 16


def test_plain_and_corrected_scores_are_kept_apart():
    encounters, vectors = Encounters([0.5] * 30), people(2, 1, seed=1)
    encounters.add(FIRST, vectors[0], NOW, corrected=True)
    assert not encounters._scores


class Carded(Ready):
    """Stub of an encoder with a card that returns a drawn person for each sequence, by its track."""

    def __init__(self) -> None:
        scores = (people(600, 1, seed=71) @ people(600, 1, seed=72).T).ravel()
        found = Impostors.of(scores, "synthetic, worked example", 1_200)
        self.card = SimpleNamespace(impostors=found, corrected=found)

    def __call__(self, sequence: GaitSequence) -> Embedding:
        return Embedding(people(1, 1, seed=sequence.origin.track)[0], self.contract)


def walk(track: int, start: float) -> GaitSequence:
    frames = np.ones((10, 64, 44), np.uint8)
    return GaitSequence({"silhouette": frames}, start + np.arange(10) / 3, origin=Origin("hall", track))


def usable(sequence: GaitSequence) -> object:
    from gaitid.quality import assess

    return replace(assess(sequence), reasons=())


def test_a_gallery_calibrates_itself_by_people_who_come_together(tmp_path):
    matcher = LocalMatcher(Carded(), tmp_path, assess=usable)
    matcher.create_gallery("home", operating_point=OperatingPoint(fpir=0.05), profiles=False)
    matcher.enrol("home", "anna", [Embedding(people(1, 1, 9)[0], Ready.contract)], check=EnrolmentCheck.OFF)
    for n in range(FEWEST):
        found = matcher.describe("home").calibration
        assert found is not None
        assert found.source is CalibrationSource.CARD
        matcher.identify("home", walk(2 * n + 1, NOW + 86_400 * n))
        matcher.identify("home", walk(2 * n + 2, NOW + 86_400 * n))
    found = matcher.describe("home").calibration
    assert found is not None
    assert (found.source, found.comparisons) == (CalibrationSource.SIMULTANEOUS, FEWEST)
    matcher.close()
    matcher = LocalMatcher(Carded(), tmp_path, assess=usable)
    assert matcher.describe("home").calibration == found
    matcher.close()
