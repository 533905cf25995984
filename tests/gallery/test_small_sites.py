"""A small site is calibrated by the encoder's card and its own few comparisons."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gaitid.encoders.weights import Impostors
from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.calibration import ScoreCalibration, learn, of_card
from gaitid.local import LocalMatcher
from gaitid.records import (
    CalibrationSource,
    Embedding,
    EnrolmentCheck,
    Fusion,
    GaitSequence,
    OperatingPoint,
    Origin,
)
from tests.impostors import DIMENSION, Ready, names, people


def alike(count: int, walks: int, seed: int, scale: float = 1.0) -> np.ndarray:
    """Vectors of people of a site; with `scale` above 1 they are more alike than those of the card."""
    random = np.random.default_rng(seed)
    spread = np.arange(1, DIMENSION + 1) ** (-0.35 * scale)
    selves = np.repeat(random.standard_normal((count, DIMENSION)) * spread, walks, axis=0)
    vectors = selves + 0.5 * random.standard_normal(selves.shape) * spread
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def card(*, corrected: bool = True) -> ScoreCalibration:
    scores = (alike(700, 1, 71) @ alike(700, 1, 72).T).ravel()
    found = Impostors.of(scores, "synthetic, worked example", 1_400)
    made = of_card(found, found)
    assert made is not None
    chosen = made.card(corrected=corrected)
    assert chosen is not None
    return chosen


@pytest.mark.parametrize("subjects", [3, 10, 20, 40])
@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
def test_the_target_is_kept_where_people_are_more_or_less_alike_than_on_the_card(subjects, scale):
    """Mean over galleries; thresholds may be too strict, not too lax."""
    prior, rates = card(), []
    others = alike(1_500, 1, 5, scale)
    for seed in range(8):
        gallery = alike(subjects, 2, seed, scale)
        made = learn(gallery, names(subjects, 2), Fusion.MAX, corrected=True, card=prior)
        bar = made.resolve(OperatingPoint(fmr=0.01), subjects, 2).threshold
        best = (others @ gallery.T).reshape(len(others), subjects, 2).max(axis=2)
        rates.append(float((best >= bar).mean()))
    assert 0 < np.mean(rates) < 0.02


def test_what_a_site_measures_moves_the_card_towards_it():
    prior = card()
    bars = {}
    for scale in (0.6, 1.0, 1.5):
        gallery = alike(20, 2, 3, scale)
        made = learn(gallery, names(20, 2), Fusion.MAX, corrected=True, card=prior)
        assert made.info.source is CalibrationSource.SMALL
        assert made.info.subjects == 20
        assert made.info.comparisons == 20 * 19 // 2 * 4
        bars[scale] = made.resolve(OperatingPoint(fmr=0.01), 20).threshold
    assert bars[0.6] < bars[1.0] < bars[1.5]


def test_what_a_camera_adds_is_learned_from_a_few_people_without_profiles():
    prior = card(corrected=False)
    mean = np.eye(DIMENSION)[0] * 0.8
    gallery = alike(20, 1, 3) + mean
    gallery = (gallery / np.linalg.norm(gallery, axis=1, keepdims=True)).astype(np.float32)
    made = learn(gallery, names(20, 1), Fusion.MAX, card=prior)
    before = prior.resolve(OperatingPoint(fmr=0.01), 20).threshold
    after = made.resolve(OperatingPoint(fmr=0.01), 20).threshold
    others = alike(1_000, 1, 9) + mean
    others = (others / np.linalg.norm(others, axis=1, keepdims=True)).astype(np.float32)
    scores = others @ gallery.T
    assert (scores >= before).mean() > 0.1  # the card is false here
    assert (scores >= after).mean() < 0.02


@pytest.mark.parametrize("subjects", [0, 1, 2])
def test_one_pair_of_subjects_tells_nothing(subjects):
    with pytest.raises(NotCalibrated):
        learn(people(subjects, 1, seed=1), names(subjects, 1), Fusion.MAX, corrected=True, card=card())


def test_the_cards_of_both_kinds_survive_serialisation():
    made = learn(alike(10, 2, 1), names(10, 2), Fusion.MAX, corrected=True, card=card())
    made = replace(made, cards=(card(corrected=False), card()))
    again = ScoreCalibration.loads(made.dumps())
    assert again.dumps() == made.dumps()
    assert again.fitting(corrected=True).info.source is CalibrationSource.SMALL
    plain = again.fitting(corrected=False)
    assert (plain.info.source, plain.info.corrected) == (CalibrationSource.CARD, False)
    assert plain.fitting(corrected=True).info.source is CalibrationSource.CARD


class Cameras(Ready):
    """Stub of an encoder whose card has both kinds of scores; all probes are ready embeddings."""

    def __init__(self) -> None:
        found = Impostors.of((alike(700, 1, 71) @ alike(700, 1, 72).T).ravel(), "synthetic, example", 1_400)
        self.card = SimpleNamespace(impostors=found, corrected=found)

    def __call__(self, sequence: GaitSequence) -> Embedding:
        raise AssertionError("no sequence is embedded here")


def test_a_gallery_goes_over_to_the_calibration_of_corrected_scores(tmp_path):
    matcher = LocalMatcher(Cameras(), tmp_path)
    made = matcher.create_gallery("home", operating_point=OperatingPoint(fpir=0.05))
    assert made.calibration is not None
    assert (made.calibration.corrected, made.calibration.synthetic) == (False, True)
    for n, vector in enumerate(alike(10, 1, 4)):
        one = Embedding(vector, Cameras.contract, Origin("hall", n + 1))
        matcher.enrol("home", f"s{n}", [one], check=EnrolmentCheck.OFF)
    found = matcher.describe("home").calibration
    assert found is not None
    assert (found.source, found.corrected) == (CalibrationSource.CARD, True)
    probe = Embedding(alike(1, 1, 9)[0], Cameras.contract, Origin("hall", 99))
    assert matcher.identify("home", probe).candidates[0].fpir_at_score is not None
    made_now = matcher.calibrate("home")
    assert (made_now.source, made_now.subjects) == (CalibrationSource.SMALL, 10)
    assert matcher.describe("home").calibration == made_now
    matcher.close()
    matcher = LocalMatcher(Cameras(), tmp_path)
    assert matcher.describe("home").calibration == made_now
    matcher.close()
