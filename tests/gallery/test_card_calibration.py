"""A new gallery takes its provisional calibration from its encoder's card."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gaitid.encoders.weights import Impostors
from gaitid.errors import NotCalibrated
from gaitid.gallery.gallery import Gallery
from gaitid.gallery.index.exact import ExactIndex
from gaitid.gallery.scoring.calibration import of_card
from gaitid.gallery.store.database import Store
from gaitid.local import LocalMatcher
from gaitid.records import CalibrationSource, Embedding, EnrolmentCheck, OperatingPoint, Outcome
from tests.impostors import Ready, people


def impostors(count: int = 1_000) -> Impostors:
    """Impostor scores of pairs of people who occur in no other test."""
    return Impostors.of((people(count, 1, seed=71) @ people(count, 1, seed=72).T).ravel(), "worked example")


def calibration_of(found: Impostors):
    return of_card(found)


class Carded(Ready):
    """Stub of an encoder with a card; all probes are ready embeddings."""

    def __init__(self, found: Impostors | None) -> None:
        self.card = SimpleNamespace(impostors=found)


def embeddings(vectors: np.ndarray) -> list[Embedding]:
    return [Embedding(vector, Carded.contract) for vector in vectors]


@pytest.mark.parametrize("scores", [np.zeros(0), np.zeros(5), np.linspace(0, 1, 400), np.full(10_000, 0.5)])
def test_a_card_with_too_few_data_gives_no_calibration(scores):
    found = Impostors.of(scores, "worked example") if len(scores) else Impostors(0.1, 0.2, 9, "an older card")
    assert calibration_of(found) is None


def test_a_card_states_the_scores_that_were_measured():
    scores = (people(800, 1, seed=1) @ people(900, 1, seed=2).T).ravel()
    found = Impostors.of(scores, "worked example")
    assert (found.pairs, found.mean) == (720_000, pytest.approx(scores.mean(), abs=1e-4))
    assert len(found.fmr) == len(found.scores) < 70
    for rate, score in zip(found.fmr, found.scores, strict=True):
        assert (scores >= score).mean() == pytest.approx(rate, rel=0.05, abs=2e-6)
    calibration = calibration_of(found)
    assert (calibration.info.source, calibration.info.comparisons) == (CalibrationSource.CARD, 720_000)
    for fmr in (0.1, 0.01, 1e-3, 1e-4):
        bar = calibration.resolve(OperatingPoint(fmr=fmr), 1).threshold
        assert (scores >= bar).mean() == pytest.approx(fmr, rel=0.25)


@pytest.mark.parametrize("walks", [1, 3])
def test_every_row_of_the_gallery_is_a_comparison(walks):
    calibration = calibration_of(impostors())
    gallery, others = people(300, walks, seed=3), people(4_000, 1, seed=4)
    scores = (others @ gallery.T).reshape(len(others), -1, walks).max(axis=2)
    bar = calibration.resolve(OperatingPoint(fpir=0.02), 300, walks).threshold
    assert 0.005 < (scores.max(axis=1) >= bar).mean() < 0.04
    assert calibration.fpir([bar], 300, walks)[0] == pytest.approx(0.02, rel=0.03)
    bar = calibration.resolve(OperatingPoint(fmr=0.001), 300, walks).threshold
    assert 0.0003 < (scores >= bar).mean() < 0.002


def test_a_new_gallery_begins_with_it_and_keeps_it_over_a_restart(tmp_path):
    matcher = LocalMatcher(Carded(impostors()), tmp_path)
    made = matcher.create_gallery("town", operating_point=OperatingPoint(fpir=0.05))
    assert (made.calibration.source, made.revision) == (CalibrationSource.CARD, 0)
    walks = embeddings(people(100, 2, seed=1))
    for n in range(100):
        matcher.enrol("town", f"s{n}", walks[2 * n : 2 * n + 2], check=EnrolmentCheck.OFF)
    described = matcher.describe("town")
    assert described.operating_point.threshold > made.operating_point.threshold
    others = embeddings(people(600, 1, seed=9))
    passed = sum(matcher.identify("town", probe).outcome is Outcome.MATCH for probe in others)
    assert 5 < passed < 60
    probe = matcher.identify("town", others[0]).candidates[0]
    claimed = matcher.verify("town", probe.subject, others[0]).candidates[0]
    assert 0 < claimed.fpir_at_score < probe.fpir_at_score < 1
    matcher.close()
    matcher = LocalMatcher(Carded(None), tmp_path)
    assert matcher.describe("town") == described
    assert matcher.calibrate("town").source is CalibrationSource.GALLERY
    assert matcher.describe("town").calibration.source is CalibrationSource.GALLERY
    matcher.close()


@pytest.mark.parametrize("found", [None, Impostors(0.1, 0.2, 9, "an older card")])
def test_a_card_without_it_leaves_a_gallery_uncalibrated(tmp_path, found):
    matcher = LocalMatcher(Carded(found), tmp_path)
    assert matcher.create_gallery("town").calibration is None
    with pytest.raises(NotCalibrated):
        matcher.create_gallery("village", operating_point=OperatingPoint(fpir=0.05))
    matcher.close()


def test_a_gallery_that_was_not_created_leaves_no_calibration(tmp_path):
    store = Store(tmp_path)
    calibration = calibration_of(impostors())
    row = store.galleries.create("g", "gei", "c0ffee", 8, OperatingPoint(0.5), calibration=calibration)
    assert Gallery(store, row, ExactIndex).describe().calibration == calibration.info
    store.galleries.delete(row, lambda _: None)
    assert store._db.execute("SELECT count(*) FROM calibrations").fetchone() == (0,)
    store.close()
