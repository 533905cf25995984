"""A calibrated gallery keeps its target error rate."""

from __future__ import annotations

import numpy as np
import pytest

from gaitid.errors import NotCalibrated
from gaitid.gallery.scoring.calibration import FEWEST_COMPARISONS, ScoreCalibration, learn
from gaitid.gallery.scoring.fusion import rows_of
from gaitid.records import CalibrationSource, Fusion, OperatingPoint
from tests.impostors import names, people


def best_scores(probes: np.ndarray, gallery: np.ndarray, walks: int, fusion: Fusion) -> np.ndarray:
    """Best score of each probe with any subject, by the definition of the fusion."""
    cosines = (probes @ gallery.T).reshape(len(probes), -1, walks)
    if fusion is Fusion.MAX:
        return cosines.max(axis=2).max(axis=1)
    means = gallery.reshape(-1, walks, gallery.shape[1]).mean(axis=1)
    if fusion is Fusion.CENTROID:
        means /= np.linalg.norm(means, axis=1, keepdims=True)
    return (probes @ means.T).max(axis=1)


@pytest.mark.parametrize("fusion", list(Fusion))
@pytest.mark.parametrize("source", [CalibrationSource.GALLERY, CalibrationSource.IMPOSTORS])
@pytest.mark.parametrize("walks", [1, 3])
def test_the_target_fpir_is_measured(fusion, source, walks):
    gallery = people(400, walks, seed=1)
    cohort = people(500, 1, seed=2) if source is CalibrationSource.IMPOSTORS else None
    calibration = learn(gallery, names(400, walks), fusion, cohort)
    best = best_scores(people(4_000, 1, seed=3), gallery, walks, fusion)
    for fpir in (0.1, 0.01):
        threshold = calibration.resolve(OperatingPoint(fpir=fpir), 400).threshold
        assert fpir / 2 < (best >= threshold).mean() < 2 * fpir
    assert calibration.info.source is source
    assert calibration.info.subjects == 400
    assert 0 < calibration.info.clustering <= 1
    assert 0 < calibration.info.misfit < 0.1


def test_rates_and_thresholds_agree():
    calibration = learn(people(200, 2, seed=1), names(200, 2), Fusion.MAX)
    for subjects in (1, 10, 200, 10_000):
        for fpir in (0.5, 0.01, 1e-4):
            operating_point = calibration.resolve(OperatingPoint(0.3, 0.1, fpir=fpir, margin=0.2), subjects)
            assert calibration.fpir([operating_point.threshold], subjects)[0] == pytest.approx(fpir, rel=0.03)
            assert (operating_point.review_band, operating_point.fpir, operating_point.margin) == (
                0.1,
                fpir,
                0.2,
            )
    one = calibration.resolve(OperatingPoint(fmr=0.001), 10_000)
    assert one.threshold == calibration.resolve(OperatingPoint(fpir=0.001), 1).threshold
    assert calibration.resolve(OperatingPoint(0.7), 5) == OperatingPoint(0.7)
    rates = calibration.fpir(np.linspace(-1, 1, 50), 200)
    assert rates[0] == 1.0
    assert (np.diff(rates) <= 0).all()
    assert calibration.fpir([], 200).shape == (0,)


def test_a_larger_gallery_asks_for_a_higher_threshold():
    calibration = learn(people(200, 2, seed=1), names(200, 2), Fusion.MAX)
    bars = [calibration.resolve(OperatingPoint(fpir=0.01), n).threshold for n in (1, 10, 100, 1_000, 100_000)]
    assert bars == sorted(set(bars))


def test_false_matches_that_come_together_are_counted_once():
    """Ten copies of each subject make ten false matches but one false positive."""
    few = people(80, 1, seed=1)
    copies, owners = np.repeat(few, 10, axis=0), [f"s{n}" for n in range(800)]
    impostors = people(600, 1, seed=2)
    calibration = learn(copies, owners, Fusion.MAX, impostors)
    assert calibration.info.clustering < 0.15
    best = best_scores(people(4_000, 1, seed=3), few, 1, Fusion.MAX)
    threshold = calibration.resolve(OperatingPoint(fpir=0.05), 800).threshold
    assert 0.025 < (best >= threshold).mean() < 0.1


def test_each_pair_of_subjects_counts_once():
    calibration = learn(people(60, 1, seed=1), names(60, 1), Fusion.MAX)
    assert calibration.info.comparisons == 60 * 59 // 2
    assert (calibration.info.probes, calibration.info.subjects) == (60, 60)


def test_a_calibration_survives_serialisation():
    calibration = learn(people(60, 1, seed=1), names(60, 1), Fusion.MAX)
    again = ScoreCalibration.loads(calibration.dumps())
    assert again.info == calibration.info
    assert again.dumps() == calibration.dumps()
    scores = np.linspace(-1, 1, 50)
    np.testing.assert_array_equal(again.fpir(scores, 60), calibration.fpir(scores, 60))


@pytest.mark.parametrize(
    ("subjects", "walks", "impostors"),
    [(0, 1, None), (1, 1, None), (1, 500, None), (0, 1, 50), (40, 1, None), (10, 3, 99)],
)
def test_too_few_comparisons_are_refused(subjects, walks, impostors):
    cohort = None if impostors is None else people(impostors, 1, seed=2)
    with pytest.raises(NotCalibrated, match=f"at least {FEWEST_COMPARISONS}"):
        learn(people(subjects, walks, seed=1), names(subjects, walks), Fusion.MAX, cohort)


def test_equal_scores_are_refused():
    same = np.repeat(people(1, 1, seed=1), 100, axis=0)
    with pytest.raises(NotCalibrated, match="equal"):
        learn(same, names(100, 1), Fusion.MAX)


def test_rows_of_one_subject():
    one, other = np.eye(2, dtype=np.float32)
    pair = np.stack([one, other])
    np.testing.assert_array_equal(rows_of(pair, Fusion.MAX), pair)
    np.testing.assert_allclose(rows_of(pair, Fusion.MEAN), [[0.5, 0.5]])
    np.testing.assert_allclose(rows_of(pair, Fusion.CENTROID), [[0.5**0.5, 0.5**0.5]])
    np.testing.assert_array_equal(rows_of(np.stack([one, -one]), Fusion.CENTROID), [[0, 0]])
